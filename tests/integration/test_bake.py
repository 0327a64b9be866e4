"""A bake against the local AWS, with Packer and the clones played: what is published, and what is left behind."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from checkop import cli, inventory
from checkop.aws import Clients
from checkop.bake import clones, gates, leftovers, manifest, publication, template
from checkop.bake.gates import Passed
from checkop.bake.manifest_store import ManifestStore
from checkop.bake.request import Request, checksum
from checkop.bake.run import Bake
from checkop.errors import CheckopError
from checkop.ledger import Entry, Ledger
from tests import bake_made

ROOT = Path(__file__).parents[2]
QUICKLY: Any = {"Delay": 0.05, "MaxAttempts": 200}
PREFIX = "/checkop/rehearsal"


class World:
    """The environment's network, and everything a bake can leave behind."""

    def __init__(self, clients: Clients, values: dict[str, Any]) -> None:
        self.clients, self.values, self.ec2 = clients, values, clients.ec2
        self.said: list[str] = []
        vpc = self.ec2.create_vpc(CidrBlock=values["network_cidr"])["Vpc"]["VpcId"]
        self.tag(vpc, Name=values["network_name"])
        for subnet in values["network_subnets"]:
            made = self.ec2.create_subnet(VpcId=vpc, CidrBlock=subnet["cidr"], AvailabilityZone=subnet["zone"])
            self.tag(made["Subnet"]["SubnetId"], Name=subnet["name"], **{"checkop:tier": subnet["tier"]})
        for group in ("app", "base"):
            name = f"{values['network_name']}-{group}"
            self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)
        clients.iam.create_instance_profile(InstanceProfileName=values["fleet_role_name"])
        self.manifests = ManifestStore(clients.s3, values["image_manifest_bucket"])
        clients.s3.create_bucket(Bucket=self.manifests.bucket)
        self.before = self.things()

    def tag(self, resource: str, **tags: str) -> None:
        """Tag a resource as the environment's."""
        marks = {**self.values["aws_tags"], **tags}
        self.ec2.create_tags(Resources=[resource], Tags=[{"Key": name, "Value": marks[name]} for name in marks])

    def things(self) -> dict[str, set[str]]:
        """Return everything that a bake makes, by kind."""
        return bake_made.things(self.ec2)

    def new(self) -> dict[str, set[str]]:
        """Return what is there now and was not at the beginning."""
        return {kind: found - self.before[kind] for kind, found in self.things().items() if found - self.before[kind]}

    def running(self, image: str, **tags: str) -> str:
        """Start an instance and wait until it runs."""
        started = self.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[started], WaiterConfig=QUICKLY)
        self.tag(started, **tags)
        return started

    def hub(self) -> str:
        """Start a hub, which counts as there from the beginning."""
        hub = self.running(self.bake().plan()[0], **{"checkop:group": "base_chop"})
        self.before = self.things()
        return hub

    def parameter(self, name: str) -> str | None:
        """Read a parameter of the environment."""
        found = self.clients.ssm.get_parameters(Names=[f"{PREFIX}/{name}"])["Parameters"]
        return found[0]["Value"] if found else None

    def bake(self, **options: Any) -> Bake:
        """Make a bake of version 1.0.0."""
        request = Request(Path("inventory/rehearsal"), "1.0.0", "/archive", "0" * 64, **options)
        return Bake(self.clients, self.values, request, ["127.0.0.0/8"], self.said.append)


@pytest.fixture
def world(clients: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.chdir(ROOT)
    values = inventory.load(Path("inventory/rehearsal")) | {"image_gate_timeout_seconds": 20}
    made = World(clients, values)
    play_packer(made, monkeypatch, tmp_path)
    monkeypatch.setattr(clones, "_reach", lambda *_: None)
    monkeypatch.setattr(gates, "ask_all", lambda *_: [Passed("all", "played", 0.0)])
    return made


def play_packer(world: World, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make an image as Packer does, from the variables that it would get."""

    def build(variables: dict[str, Any]) -> None:
        run_id = variables["run_id"]
        marks = {leftovers.RUN_TAG: run_id}
        world.ec2.create_key_pair(KeyName=leftovers.key_pair_name(run_id, "builder"))
        builder = world.running(variables["source_ami_id"], **marks)
        tags = {
            **marks,
            **world.values["aws_tags"],
            "checkop:role": "base-chop",
            "checkop:bake-key": variables["bake_key"],
            "checkop:application-version": variables["application_version"],
        }
        listed: Any = [{"Key": name, "Value": value} for name, value in tags.items()]
        image = world.ec2.create_image(
            InstanceId=builder,
            Name=f"base-chop-{run_id}",
            TagSpecifications=[{"ResourceType": kind, "Tags": listed} for kind in ("image", "snapshot")],
        )["ImageId"]
        world.ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=QUICKLY)
        record = folder / f"base-chop-{run_id}"
        record.mkdir()
        built = {"builds": [{"artifact_id": f"us-east-1:{image}", "custom_data": {"run_id": run_id}}]}
        (record / "packer.json").write_text(json.dumps(built), encoding="utf-8")
        (record / "manifest.json").write_text(json.dumps({"packages": {"nginx": run_id}}), encoding="utf-8")

    monkeypatch.setattr(template, "build", build)
    monkeypatch.setattr(template, "IMAGES", folder)


def test_a_good_bake_is_published_and_leaves_nothing_but_its_image(world: World) -> None:
    outcome = world.bake().run()
    assert world.parameter("image/verified") == outcome.image
    image = publication.find_image(world.ec2, outcome.image)
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    assert tags["checkop:verified"]
    assert tags["checkop:bake-key"] == outcome.key
    assert tags["checkop:manifest"] == f"s3://{world.manifests.bucket}/{outcome.image}/manifest.json"
    assert world.new() == {"images": {outcome.image}, "snapshots": set(publication.snapshots_of(image))}
    snapshot = world.ec2.describe_snapshots(SnapshotIds=publication.snapshots_of(image))["Snapshots"][0]
    assert "checkop:verified" in {tag["Key"] for tag in snapshot["Tags"]}


def test_the_same_inputs_are_not_baked_twice(world: World) -> None:
    first = world.bake().run()
    world.clients.ssm.delete_parameter(Name=f"{PREFIX}/image/verified")
    second = world.bake().run()
    assert second.skipped
    assert second.image == first.image
    assert world.parameter("image/verified") == first.image


@pytest.mark.parametrize("why", ["forced", "recalled", "other inputs"])
def test_an_image_is_baked_again_when_it_has_to_be(world: World, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.bake().run()
    if why == "recalled":
        world.tag(first.image, **{"checkop:recalled": "bad"})
    if why == "other inputs":
        world.values = {**world.values, "host_time_zone": "UTC"}
    second = world.bake(force=why == "forced").run()
    assert not second.skipped
    assert second.image != first.image
    assert world.parameter("image/verified") == second.image


def fail_in_packer(monkeypatch: pytest.MonkeyPatch, world: World, error: BaseException) -> None:
    real = template.build

    def build(variables: dict[str, Any]) -> None:
        real(variables)
        raise error

    monkeypatch.setattr(template, "build", build)


def fail_in_boot(monkeypatch: pytest.MonkeyPatch, world: World, error: BaseException) -> None:
    def reach(*_: object) -> None:
        raise error

    monkeypatch.setattr(clones, "_reach", reach)


def fail_in_gate(monkeypatch: pytest.MonkeyPatch, world: World, error: BaseException) -> None:
    def ask(*_: object) -> None:
        assert len(world.new()["instances"]) >= 2
        raise error

    monkeypatch.setattr(gates, "ask_all", ask)


def fail_in_publication(monkeypatch: pytest.MonkeyPatch, world: World, error: BaseException) -> None:
    def complete(*_: object) -> None:
        raise error

    monkeypatch.setattr(manifest, "complete", complete)


@pytest.mark.parametrize(
    "error", [CheckopError("broken on purpose"), KeyboardInterrupt()], ids=["failed", "interrupted"]
)
@pytest.mark.parametrize("fail", [fail_in_packer, fail_in_boot, fail_in_gate, fail_in_publication])
def test_a_bake_that_does_not_end_well_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, fail: Any, error: BaseException
) -> None:
    fail(monkeypatch, world, error)
    with pytest.raises(type(error)):
        world.bake().run()
    assert world.new() == {}
    assert world.parameter("image/verified") is None
    assert "removing what it made" in " ".join(world.said)


def test_a_published_image_stays_whatever_happens_after(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publication, "set_verified", fail)
        with pytest.raises(KeyboardInterrupt):
            world.bake().run()
    (image,) = world.new()["images"]
    snapshots = set(publication.snapshots_of(publication.find_image(world.ec2, image)))
    assert world.new() == {"images": {image}, "snapshots": snapshots}
    assert f"{image} is verified and stays" in " ".join(world.said)
    again = world.bake().run()
    assert (again.image, again.skipped) == (image, True)
    assert world.parameter("image/verified") == image


@pytest.mark.parametrize(
    ("operation", "code"),
    [("DeleteSecurityGroup", "DependencyViolation"), ("DeleteSnapshot", "InvalidSnapshot.InUse")],
)
def test_what_ec2_still_holds_is_waited_for(
    cloud: Any, world: World, monkeypatch: pytest.MonkeyPatch, operation: str, code: str
) -> None:
    cloud.fault(every=1, code=code, status=400, service="ec2", operation=operation, times=3)
    fail_in_gate(monkeypatch, world, CheckopError("broken on purpose"))
    with pytest.raises(CheckopError, match="broken on purpose"):
        world.bake().run()
    assert world.new() == {}


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_what_cannot_be_removed_hides_nothing_and_keeps_nothing_else(
    cloud: Any, world: World, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    cloud.fault(every=1, code="DependencyViolation", status=400, service="ec2", operation="DeleteSecurityGroup")
    monkeypatch.setattr(leftovers, "delete", partial(leftovers.delete, timeout_seconds=0.2))
    bake = world.bake()
    if ends == "well":
        outcome = bake.run()
        assert world.parameter("image/verified") == outcome.image
        assert set(world.new()) == {"images", "snapshots", "security groups"}
    else:
        fail_in_gate(monkeypatch, world, CheckopError("broken on purpose"))
        with pytest.raises(CheckopError, match="broken on purpose"):
            bake.run()
        assert set(world.new()) == {"security groups"}
    assert f"checkop bake --clear {bake.run_id}" in world.said[-1]
    cloud.clear_faults()
    world.bake().clear(bake.run_id)
    assert "security groups" not in world.new()


def test_an_instance_that_was_started_ends_though_its_twin_never_came(
    cloud: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Packer's builder is the first, the clones are the second and the third; tags are not visible yet.
    full = {"code": "InsufficientInstanceCapacity", "status": 400, "service": "ec2", "operation": "RunInstances"}
    cloud.fault(every=3, times=1, **full)
    monkeypatch.setattr(leftovers, "terminate_instances", lambda *_: [])
    bake = world.bake()
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        bake.run()
    found = world.ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["*gate"]}])["Reservations"]
    (clone,) = [instance for reservation in found for instance in reservation["Instances"]]
    assert clone["State"]["Name"] in {"shutting-down", "terminated"}


def test_an_instance_that_is_not_visible_yet_is_waited_for(world: World) -> None:
    with pytest.raises(CheckopError, match="i-0123456789abcdef0 not visible yet"):
        clones._addresses(world.ec2, ["i-0123456789abcdef0"], 0.2)


def test_an_image_that_packer_had_not_tagged_yet_goes_with_its_snapshots(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(variables: dict[str, Any]) -> None:
        builder = world.running(variables["source_ami_id"], **{leftovers.RUN_TAG: variables["run_id"]})
        image = world.ec2.create_image(InstanceId=builder, Name=f"base-chop-1.0.0-{variables['run_id']}")["ImageId"]
        volume = world.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        # As EC2 describes it, before the image names it.
        words = f"Created by CreateImage({builder}) for {image} from {volume}"
        world.ec2.create_snapshot(VolumeId=volume, Description=words)
        world.ec2.delete_volume(VolumeId=volume)
        raise KeyboardInterrupt

    monkeypatch.setattr(template, "build", build)
    with pytest.raises(KeyboardInterrupt):
        world.bake().run()
    assert world.new() == {}


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_copies_in_other_regions_share_the_fate_of_the_image(
    world: World, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    abroad = Clients("eu-west-1").ec2
    before = bake_made.things(abroad)
    world.values = {**world.values, "image_copy_regions": ["eu-west-1"]}
    real = template.build

    def build(variables: dict[str, Any]) -> None:
        real(variables)
        (image,) = leftovers.images(world.ec2, variables["run_id"])
        abroad.register_image(Name=image["Name"])

    monkeypatch.setattr(template, "build", build)
    if ends == "well":
        world.bake().run()
        assert len(bake_made.things(abroad)["images"] - before["images"]) == 1
    else:
        fail_in_gate(monkeypatch, world, CheckopError("broken on purpose"))
        with pytest.raises(CheckopError, match="broken on purpose"):
            world.bake().run()
        assert bake_made.things(abroad) == before


def test_a_snapshot_of_a_copy_of_the_hub_is_found_without_its_image(world: World) -> None:
    volume = world.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    tags: Any = {**world.values["aws_tags"], leftovers.COPY_TAG: "20260101000000-0000"}
    snapshot = world.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    world.tag(snapshot, **tags)
    assert leftovers.by_run(world.ec2, "rehearsal") == {"20260101000000-0000": [snapshot]}
    assert world.bake().clear("20260101000000-0000") == [snapshot]


def killed(world: World, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    """Bake until the gates, then end without a chance to remove anything; returns the run's mark."""
    bake = world.bake(**options)
    with monkeypatch.context() as patch:
        fail_in_gate(patch, world, KeyboardInterrupt())
        patch.setattr(leftovers, "clear", lambda *_, **__: [])
        with pytest.raises(KeyboardInterrupt):
            bake.run()
    world.said.clear()
    return bake.run_id


@pytest.mark.parametrize("origin", ["source", "instance"])
def test_what_a_killed_bake_left_is_told_and_cleared(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], origin: str
) -> None:
    if origin == "instance":
        world.hub()
    left = killed(world, monkeypatch, origin=origin)
    (group,) = world.new()["security groups"]
    made = [image["ImageId"] for image in leftovers.images(world.ec2, left)]
    other = world.bake(force=True).run()
    (told,) = [line for line in world.said if left in line]
    assert group in told
    assert f"checkop bake -i inventory/rehearsal --clear {left}" in told
    assert world.new()["security groups"] == {group}
    assert cli.main(["bake", "-i", "inventory/rehearsal", "--clear", left]) == 0
    out, err = capsys.readouterr()
    assert group in out
    assert f"{made[0]} stays, unverified" in err
    snapshots = [publication.snapshots_of(publication.find_image(world.ec2, name)) for name in (*made, other.image)]
    assert world.new() == {"images": {*made, other.image}, "snapshots": {one for found in snapshots for one in found}}
    world.said.clear()
    world.bake(force=True).run()
    assert not [line for line in world.said if left in line]


def test_only_a_bake_of_this_environment_is_cleared(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = killed(world, monkeypatch)
    before = world.things()
    world.values = {**world.values, "checkop_environment": "another"}
    with pytest.raises(CheckopError, match=f"Bake {left} has nothing in another .*: none"):
        world.bake().clear(left)
    assert cli.main(["bake", "-i", "inventory/rehearsal", "--clear", "20200101000000-0000"]) == 1
    assert f"bakes that have: {left}" in capsys.readouterr().err
    assert world.things() == before


def test_clones_are_booted_as_the_fleet_is_one_in_each_zone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def ask(asked: gates.Gates, _say: object) -> list[Passed]:
        for clone in asked.clones:
            reservation = world.ec2.describe_instances(InstanceIds=[clone.instance_id])["Reservations"][0]
            seen.append(reservation["Instances"][0])
        return []

    monkeypatch.setattr(gates, "ask_all", ask)
    world.bake().run()
    assert [instance["Placement"]["AvailabilityZone"] for instance in seen] == ["us-east-1a", "us-east-1d"]
    for instance in seen:
        assert instance["InstanceType"] == world.values["fleet_instance_type"]
        assert instance["IamInstanceProfile"]["Arn"].endswith(world.values["fleet_role_name"])
        groups = {group["GroupName"] for group in instance["SecurityGroups"]}
        assert "checkop-app" in groups
        assert len(groups) == 2
        # Only members of the fleet claim an address of its pool.
        assert {"Key": "checkop:group", "Value": "builder"} in instance["Tags"]


def test_a_second_bake_is_compared_with_what_is_in_service(world: World) -> None:
    first = world.bake().run()
    world.clients.ssm.put_parameter(Name=f"{PREFIX}/image/in_service", Value=first.image, Type="String")
    second = world.bake(force=True).run()
    assert "nginx" in second.differences["packages"]["changed"]
    assert any("packages: 1 differ" in line for line in world.said)


def test_releases_are_compared_on_a_machine_that_baked_neither(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baked = [world.bake(force=True).run() for _ in range(2)]
    ledger = Ledger(world.clients.ssm, PREFIX)
    for release, outcome in zip(("0001", "0002"), baked, strict=True):
        entry = Entry(release, "rollout", outcome.image, "arn:aws:iam::1:user/ana", "ana", "2026-01-01T00:00:00+00:00")
        ledger.put(entry)
    shutil.rmtree(tmp_path)
    assert cli.main(["releases", "diff", "1", "2"]) == 0
    told = capsys.readouterr().out
    assert f"image: {baked[0].image} -> {baked[1].image}" in told
    assert "packages: 1 differ\n  ~ nginx " in told
    world.clients.s3.delete_object(Bucket=world.manifests.bucket, Key=f"{baked[0].image}/manifest.json")
    assert cli.main(["releases", "diff", "1", "2"]) == 1
    assert f"image {baked[0].image} of release 0001" in capsys.readouterr().err


def test_a_bake_without_a_place_for_its_manifest_is_refused_before_it_begins(world: World) -> None:
    world.clients.s3.delete_bucket(Bucket=world.manifests.bucket)
    with pytest.raises(CheckopError, match=r"image_manifest_bucket.*playbooks/images\.yml"):
        world.bake().run()
    assert world.new() == {}
    assert world.said == []
    with pytest.raises(CheckopError, match=r"playbooks/images\.yml"):
        world.manifests.load("ami-1")


def test_a_broken_manifest_is_told_with_its_place(world: World) -> None:
    place = world.manifests.place("ami-1")
    assert world.manifests.load("ami-1") is None
    for body, why in ((b"[]", "it holds no JSON object"), (b"{", "Expecting property name")):
        world.clients.s3.put_object(Bucket=world.manifests.bucket, Key="ami-1/manifest.json", Body=body)
        with pytest.raises(CheckopError, match=f"{place} is no manifest: {why}"):
            world.manifests.load("ami-1")


def test_a_broken_manifest_of_the_image_in_service_stops_no_bake(world: World) -> None:
    first = world.bake().run()
    world.clients.ssm.put_parameter(Name=f"{PREFIX}/image/in_service", Value=first.image, Type="String")
    world.clients.s3.put_object(Bucket=world.manifests.bucket, Key=f"{first.image}/manifest.json", Body=b"{")
    second = world.bake(force=True).run()
    assert world.parameter("image/verified") == second.image
    assert any(f"not compared with {first.image}" in line for line in world.said)


def plain_packer(world: World) -> str:
    """Make an image as `packer build` does, without its gates."""
    bake = world.bake()
    source, key = bake.plan()
    template.build(bake.variables(source, key.digest, []))
    image, _ = template.artifact(bake.run_id, "us-east-1")
    leftovers.clear(world.ec2, bake.run_id, keep_image=True)
    return image


def test_the_image_of_a_plain_packer_build_is_published_after_its_gates(world: World) -> None:
    image = plain_packer(world)
    assert world.parameter("image/verified") is None
    outcome = world.bake().verify(image)
    assert [gate.name for gate in outcome.gates] == ["all"]
    assert world.parameter("image/verified") == image
    assert world.manifests.load(image) is not None
    assert set(world.new()) == {"images", "snapshots"}


def test_an_image_baked_elsewhere_is_published_without_its_manifest(world: World, tmp_path: Path) -> None:
    image = plain_packer(world)
    for record in tmp_path.glob("base-chop-*"):
        shutil.rmtree(record)
    world.bake().verify(image)
    assert world.parameter("image/verified") == image
    assert world.manifests.load(image) is None
    assert any(f"{image} was not baked on this machine" in line for line in world.said)
    tags = publication.find_image(world.ec2, image)["Tags"]
    assert "checkop:manifest" not in {tag["Key"] for tag in tags}


def test_an_image_that_passes_no_gate_stays_unpublished(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    image = plain_packer(world)
    fail_in_gate(monkeypatch, world, CheckopError("broken on purpose"))
    with pytest.raises(CheckopError, match="broken on purpose"):
        world.bake().verify(image)
    assert world.parameter("image/verified") is None
    assert world.manifests.load(image) is None
    assert world.new()["images"] == {image}
    assert set(world.new()) == {"images", "snapshots"}


def test_a_bake_from_the_hub_seals_a_copy_and_leaves_the_hub_alone(world: World) -> None:
    base = world.hub()
    described = world.ec2.describe_instances(InstanceIds=[base])["Reservations"][0]["Instances"][0]
    outcome = world.bake(origin="instance").run()
    after = world.ec2.describe_instances(InstanceIds=[base])["Reservations"][0]["Instances"][0]
    assert after["State"] == described["State"]
    assert after["LaunchTime"] == described["LaunchTime"]
    assert world.new()["images"] == {outcome.image}
    assert len(world.new()["snapshots"]) == 1
    assert outcome.key == "none"
    assert outcome.source_ami != world.bake().plan()[0]


@pytest.mark.parametrize("hubs", [0, 2])
def test_a_bake_from_the_hub_needs_exactly_one(world: World, hubs: int) -> None:
    for _ in range(hubs):
        world.hub()
    with pytest.raises(CheckopError, match=f"{hubs} instances run"):
        world.bake(origin="instance").run()


def test_a_failed_bake_from_the_hub_removes_the_copy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hub()
    fail_in_gate(monkeypatch, world, CheckopError("broken on purpose"))
    with pytest.raises(CheckopError):
        world.bake(origin="instance").run()
    assert world.new() == {}


def test_nobody_but_the_operator_reaches_the_builder(world: World) -> None:
    bake = world.bake()
    bake.operator_cidrs = []
    with pytest.raises(CheckopError, match="perimeter_administrator_cidrs"):
        bake.run()
    assert world.new() == {}


def test_a_dry_run_tells_and_changes_nothing(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "checkop-1.0.0.tar.gz"
    archive.write_bytes(b"release")
    words = ["bake", "--version", "1.0.0", "--archive", str(archive), "--sha256", checksum(archive)]
    assert cli.main([*words, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["image"] is None
    assert len(told["key"]) == 64
    assert world.new() == {}
    assert cli.main([*words, "--dry-run"]) == 0
    assert "would bake" in capsys.readouterr().out
