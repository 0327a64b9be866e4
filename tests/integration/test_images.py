"""Images against the local AWS: listing, pruning and recalling what bakes and rollouts have left."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from checkop import cli, inventory
from checkop.aws import Clients
from checkop.bake import publication
from checkop.images import catalog, prune, reach
from checkop.images.catalog import PRUNE_TAG
from checkop.images.prune import Pruner, shared_snapshots
from checkop.ledger import Entry, Ledger

PREFIX = "/checkop/rehearsal"
TAGS = {"checkop:environment": "rehearsal", "checkop:managed-by": "checkop-environment", "checkop:role": "base-chop"}

QUICKLY: Any = {"Delay": 0.05, "MaxAttempts": 200}


class Account:
    """Makes images and what reaches them."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.ec2 = clients.ec2
        self.count = 0

    def image(self, *, verified: bool = True, **tags: str) -> str:
        """Register an image with a snapshot of its own."""
        self.count += 1
        instance = self.ec2.run_instances(ImageId=self.base(), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        waiter = self.ec2.get_waiter("instance_running")
        waiter.wait(InstanceIds=[instance], WaiterConfig=QUICKLY)
        marks = {**TAGS, "checkop:application-version": f"1.0.{self.count}", **tags}
        if verified:
            marks["checkop:verified"] = f"2026-01-01T00:00:{self.count:02}+00:00"
        listed: Any = [{"Key": name, "Value": value} for name, value in marks.items()]
        image: str = self.ec2.create_image(
            InstanceId=instance,
            Name=f"base-chop-1.0.{self.count}",
            TagSpecifications=[{"ResourceType": "image", "Tags": listed}],
        )["ImageId"]
        waiter = self.ec2.get_waiter("image_available")
        waiter.wait(ImageIds=[image], WaiterConfig=QUICKLY)
        self.ec2.terminate_instances(InstanceIds=[instance])
        return image

    def base(self) -> str:
        """Return the vendor's image."""
        return self.ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]["ImageId"]

    def parameter(self, name: str, value: str) -> None:
        """Write a parameter of the environment."""
        self.clients.ssm.put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type="String", Overwrite=True)

    def exists(self, image: str) -> bool:
        """Say whether an image is registered."""
        filters: Any = [{"Name": "image-id", "Values": [image]}]
        return bool(self.ec2.describe_images(Owners=["self"], IncludeDeprecated=True, Filters=filters)["Images"])


@pytest.fixture
def account(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.chdir(Path(__file__).parents[2])
    return Account(clients)


@pytest.fixture
def values(account: Account) -> dict[str, Any]:
    return inventory.load(Path("inventory/rehearsal")) | {"image_keep": 0, "image_copy_regions": []}


def reasons(account: Account, values: dict[str, Any]) -> reach.Reasons:
    return reach.Reach(account.clients, values).collect()


def by_instance(account: Account, image: str) -> None:
    account.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)


def by_template(account: Account, image: str) -> None:
    account.ec2.create_launch_template(LaunchTemplateName="other", LaunchTemplateData={"ImageId": image})


def by_group(account: Account, image: str) -> None:
    """A group on a version that is neither the newest nor the default."""
    make = account.ec2.create_launch_template
    template = make(LaunchTemplateName="fleet", LaunchTemplateData={"ImageId": account.base()})["LaunchTemplate"]
    version = account.ec2.create_launch_template_version
    for each in (image, account.base()):
        version(LaunchTemplateId=template["LaunchTemplateId"], LaunchTemplateData={"ImageId": each})
    vpc = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]
    subnet = account.ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.9.1.0/24")["Subnet"]
    account.clients.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="AUTOChOp",
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        VPCZoneIdentifier=subnet["SubnetId"],
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"], "Version": "2"},
    )


def entry(image: str, **more: Any) -> Entry:
    return Entry("0001", "rollout", image, "arn", "ana@desk", "2026-01-01T00:00:00+00:00", **more)


def by_ledger(account: Account, image: str) -> None:
    Ledger(account.clients.ssm, PREFIX).put(entry(image, result="succeeded"))


def by_way_back(account: Account, image: str) -> None:
    Ledger(account.clients.ssm, PREFIX).put(entry("ami-none", previous_image=image))


def by_service(account: Account, image: str) -> None:
    account.parameter("image/in_service", image)


def by_verified(account: Account, image: str) -> None:
    account.parameter("image/verified", image)


REACHES = [by_instance, by_template, by_group, by_ledger, by_way_back, by_service, by_verified]


@pytest.mark.parametrize("make", REACHES, ids=lambda make: make.__name__)
def test_an_image_that_is_reached_is_never_pruned(
    account: Account, values: dict[str, Any], make: Callable[[Account, str], None]
) -> None:
    image, free = account.image(), account.image()
    make(account, image)
    found = reasons(account, values)
    assert image in found
    assert free not in found


def test_a_failed_release_and_one_outside_the_window_hold_nothing(account: Account, values: dict[str, Any]) -> None:
    images = [account.image() for _ in range(4)]
    ledger = Ledger(account.clients.ssm, PREFIX)
    for number, image in enumerate(images, start=1):
        result: Any = "failed" if number == 4 else "succeeded"
        ledger.put(
            Entry(f"{number:04}", "rollout", image, "arn", "ana@desk", "2026-01-01T00:00:00+00:00", result=result)
        )
    held = reasons(account, values | {"rollout_window": 2})
    assert [image in held for image in images] == [False, True, True, False]


def test_pruning_deprecates_waits_and_then_removes_image_and_snapshot(
    account: Account, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    old = [account.image() for _ in range(2)]
    kept = [account.image() for _ in range(5)]
    snapshots = {ami.image_id: ami.snapshots for ami in catalog.read(account.ec2, "rehearsal")}

    assert cli.main(["prune"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert not any(ami.deprecation or ami.prune_after for ami in catalog.read(account.ec2, "rehearsal"))

    assert cli.main(["prune", "--apply", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["image"] for each in told["actions"] if each["verb"] == "deprecate"} == set(old)
    marked = {ami.image_id: ami for ami in catalog.read(account.ec2, "rehearsal")}
    assert all(marked[image].deprecation and marked[image].prune_after for image in old)

    past = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat(timespec="seconds")
    account.ec2.create_tags(Resources=old, Tags=[{"Key": PRUNE_TAG, "Value": past}])
    account.parameter("image/verified", old[0])
    assert cli.main(["prune", "--apply"]) == 0
    assert account.exists(old[0])
    assert not account.exists(old[1])
    assert all(account.exists(image) for image in kept)
    left = {each["SnapshotId"] for each in account.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert not set(snapshots[old[1]]) & left
    assert set(snapshots[old[0]]) <= left
    restored = {ami.image_id: ami for ami in catalog.read(account.ec2, "rehearsal")}[old[0]]
    assert not restored.prune_after
    assert not restored.deprecation


def test_an_image_that_is_taken_into_use_at_the_last_moment_stays(account: Account, values: dict[str, Any]) -> None:
    image = account.image()
    ami = catalog.read(account.ec2, "rehearsal")[0]
    from checkop.images.prune import Action  # noqa: PLC0415 - only here

    pruner = Pruner(account.ec2, timedelta(days=7))
    account.parameter("image/in_service", image)
    assert pruner.apply([Action("remove", ami, ())], lambda each: each not in reasons(account, values)) == []
    assert account.exists(image)


def test_a_snapshot_that_another_account_uses_is_left(account: Account) -> None:
    account.image()
    ami = catalog.read(account.ec2, "rehearsal")[0]
    account.ec2.modify_snapshot_attribute(
        SnapshotId=ami.snapshots[0], Attribute="createVolumePermission", OperationType="add", UserIds=["210987654321"]
    )
    assert "210987654321" in shared_snapshots(account.ec2, ami.image_id, ami.snapshots)[ami.snapshots[0]]
    removed = Pruner(account.ec2, timedelta(days=7)).remove(ami)
    assert removed.snapshots == []
    assert not account.exists(ami.image_id)
    account.ec2.describe_snapshots(SnapshotIds=[ami.snapshots[0]])


def test_a_snapshot_is_removed_as_soon_as_ec2_lets_go_of_it(
    cloud: Any, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.image()
    account.image()
    slow, stuck = catalog.read(account.ec2, "rehearsal")
    held = {"every": 1, "code": "InvalidSnapshot.InUse", "status": 400, "service": "ec2", "operation": "DeleteSnapshot"}
    cloud.fault(**held, times=2)
    assert Pruner(account.ec2, timedelta(days=7)).remove(slow).snapshots == list(slow.snapshots)
    cloud.fault(**held)
    monkeypatch.setattr(prune, "delete", partial(prune.delete, timeout_seconds=0.2))
    removed = Pruner(account.ec2, timedelta(days=7)).remove(stuck)
    assert removed.snapshots == []
    assert "AWS to let go of snap-" in removed.left[stuck.snapshots[0]]


def test_a_copy_goes_after_its_original(
    account: Account, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inventory, "load", lambda _: values | {"image_copy_regions": ["eu-west-1"]})
    original = account.image()
    abroad = Clients("eu-west-1").ec2
    name = publication.find_image(account.ec2, original)["Name"]
    copy = abroad.register_image(Name=name)["ImageId"]
    abroad.create_tags(Resources=[copy], Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()])

    def prune_past_the_wait() -> dict[str, str]:
        for ec2, image in ((account.ec2, original), (abroad, copy)):
            for ami in catalog.read(ec2, "rehearsal"):
                if ami.prune_after:
                    past = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat(timespec="seconds")
                    ec2.create_tags(Resources=[image], Tags=[{"Key": PRUNE_TAG, "Value": past}])
        assert cli.main(["prune", "--apply", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        return {each["region"]: each["verb"] for each in told["actions"]}

    assert prune_past_the_wait() == {"us-east-1": "deprecate", "eu-west-1": "keep"}
    assert prune_past_the_wait() == {"us-east-1": "remove", "eu-west-1": "deprecate"}
    assert prune_past_the_wait() == {"eu-west-1": "remove"}
    assert catalog.read(abroad, "rehearsal") == []


def test_a_recall_bars_the_image_names_its_users_and_falls_back(
    account: Account, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = account.image(), account.image()
    account.parameter("image/verified", bad)
    by_instance(account, bad)
    assert cli.main(["recall", bad, "--reason", "leaks", "--dry-run"]) == 0
    assert "would be barred" in capsys.readouterr().out
    assert not publication.find_image(account.ec2, bad).get("Tags") or "checkop:recalled" not in {
        tag["Key"] for tag in publication.find_image(account.ec2, bad)["Tags"]
    }

    assert cli.main(["recall", bad, "--reason", "leaks", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["barred"] == {"us-east-1": [bad]}
    assert any(user.startswith("instance i-") for user in told["used_by"])
    assert told["verified_now"] == good
    assert account.clients.ssm.get_parameter(Name=f"{PREFIX}/image/verified")["Parameter"]["Value"] == good

    with pytest.raises(publication.CheckopError, match="recalled"):
        publication.publish(account.ec2, account.clients.ssm, PREFIX, bad, values["aws_tags"])
    assert cli.main(["recall", bad, "--lift"]) == 0
    assert publication.publish(account.ec2, account.clients.ssm, PREFIX, bad, values["aws_tags"])


def test_recalling_the_only_verified_image_leaves_none(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    only = account.image()
    account.parameter("image/verified", only)
    assert cli.main(["recall", only, "--reason", "leaks"]) == 0
    assert "none; bake one" in capsys.readouterr().out
    assert account.clients.ssm.get_parameters(Names=[f"{PREFIX}/image/verified"])["Parameters"] == []


def test_another_environments_image_is_not_recalled(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    other = account.image(**{"checkop:environment": "staging"})
    assert cli.main(["recall", other, "--reason", "leaks"]) == 1
    assert "staging" in capsys.readouterr().err


def test_an_unknown_image_is_not_recalled(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recall", "ami-0123456789abcdef0", "--reason", "leaks"]) == 1
    assert "ami-0123456789abcdef0" in capsys.readouterr().err


def test_the_list_shows_every_image(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    image = account.image()
    account.parameter("image/in_service", image)
    assert cli.main(["images", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["image"] == image
    assert row["state"] == "in service"
    assert cli.main(["images"]) == 0
    assert image in capsys.readouterr().out


def test_publication_happens_once(account: Account, values: dict[str, Any]) -> None:
    image = account.image(verified=False)
    arguments = (account.ec2, account.clients.ssm, PREFIX, image, values["aws_tags"])
    assert publication.publish(*arguments)
    assert not publication.publish(*arguments)
    assert catalog.read(account.ec2, "rehearsal")[0].verified
    assert account.clients.ssm.get_parameter(Name=f"{PREFIX}/image/verified")["Parameter"]["Value"] == image


def test_an_unchanged_key_finds_the_newest_verified_image_that_is_not_recalled(account: Account) -> None:
    key = {"checkop:bake-key": "a" * 64}
    account.image(verified=False, **key)
    good = account.image(**key)
    account.image(**key, **{"checkop:recalled": "bad"})
    account.image(**{"checkop:bake-key": "b" * 64})
    found = publication.verified_with_key(account.ec2, "rehearsal", "a" * 64)
    assert found is not None
    assert found["ImageId"] == good
    assert publication.verified_with_key(account.ec2, "rehearsal", "c" * 64) is None
