"""A bake from beginning to end: key, Packer, gates, publication; whatever goes wrong, nothing is left."""

from __future__ import annotations

import secrets
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from checkop.aws import Clients
from checkop.bake import clones, gates, hub, key, leftovers, manifest, publication, template
from checkop.bake.manifest_store import ManifestStore
from checkop.errors import CheckopError
from checkop.images.source import IN_SERVICE, Source, published_images, source_image
from checkop.provision import lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from checkop.bake.gates import Passed
    from checkop.bake.request import Request

REPOSITORY = Path()


@dataclass
class Outcome:
    """What a bake came to. `timings` are seconds by phase; `differences` compare with the image in service."""

    image: str
    key: str
    skipped: bool = False
    source_ami: str = ""
    gates: list[Passed] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    differences: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bake:
    """One bake.

    Parameters
    ----------
    clients:
        Clients of the environment's region.
    values:
        The inventory's variables.
    request:
        What is to be baked.
    operator_cidrs:
        Addresses that reach builder and clones by ssh.
    say:
        Tells a person who waits.
    """

    clients: Clients
    values: Mapping[str, Any]
    request: Request
    operator_cidrs: list[str]
    say: Callable[[str], None]
    run_id: str = field(default_factory=lambda: make_run_id(datetime.now(timezone.utc)))
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def manifests(self) -> ManifestStore:
        """Where the manifests of this environment's images are kept."""
        return ManifestStore(self.clients.s3, self.values["image_manifest_bucket"])

    def plan(self) -> tuple[str, key.Key]:
        """Return the AMI to start from and the bake key; changes nothing.

        Raises
        ------
        CheckopError
            No source AMI is found, or there is no running hub to copy.
        """
        if self.request.origin == "instance":
            return "", key.Key("none", {"hub": hub.find(self.clients.ec2, self.values).instance_id})
        pinned = self.request.source_ami_id or self.values["image_source_id"]
        source = Source(pinned, self.values["image_source_owner"], self.values["image_source_name"])
        ami = source_image(self.clients.ec2, source)
        return ami, key.compute(REPOSITORY, self.values, self.request, ami)

    def unchanged(self, digest: str) -> str:
        """Return the verified image of the same key, or empty."""
        if digest == "none" or self.request.force:
            return ""
        found = publication.verified_with_key(self.clients.ec2, self.values["checkop_environment"], digest)
        return found["ImageId"] if found else ""

    def run(self) -> Outcome:
        """Bake, gate and publish, or find that nothing is to do.

        Raises
        ------
        CheckopError
            A step failed; everything that the bake had made is removed.
        """
        source, bake_key = self.plan()
        existing = self.unchanged(bake_key.digest)
        if existing:
            prefix, tags = self.values["ssm_prefix"], self.values["aws_tags"]
            publication.set_verified(self.clients.ssm, prefix, existing, tags)
            return Outcome(existing, bake_key.digest, skipped=True, source_ami=source)
        self.manifests.require()
        self._tell_of_others()
        done = False
        try:
            outcome = self._make(source, bake_key)
            done = True
        finally:
            if not done:
                self.say("the bake did not end well: removing what it made")
            self._clear(keep_image=done)
        return outcome

    def clear(self, run_id: str) -> list[str]:
        """Remove what a bake that was killed could not: all but its image, which the gates or a pruning await.

        Parameters
        ----------
        run_id:
            The tag ``checkop:bake-run`` of what is to go.

        Returns
        -------
        list[str]
            Ids and names of what was removed.

        Raises
        ------
        CheckopError
            No bake of this environment has left anything under that mark.
        """
        known = leftovers.by_run(self.clients.ec2, self.values["checkop_environment"])
        if run_id not in known:
            raise CheckopError(
                f"Bake {run_id} has nothing in {self.values['checkop_environment']} that could be cleared; "
                f"bakes that have: {', '.join(sorted(known)) or 'none'} (tag {leftovers.RUN_TAG})."
            )
        ec2 = self.clients.ec2
        removed = leftovers.clear(ec2, run_id, keep_image=True)
        if not leftovers.verified(ec2, run_id):
            for image in leftovers.images(ec2, run_id):
                self.say(f"{image['ImageId']} stays, unverified: pass it through the gates with --verify, or prune it")
        return removed

    def _clear(self, *, keep_image: bool) -> None:
        """Remove what this bake made. What cannot be removed is told: it hides neither success nor the first error."""
        ec2 = self.clients.ec2
        elsewhere = [Clients(region).ec2 for region in self.values["image_copy_regions"]]
        try:
            removed = leftovers.clear(ec2, self.run_id, keep_image=keep_image, elsewhere=elsewhere)
            if not keep_image:
                self.say(f"removed: {', '.join(removed) or 'nothing was left'}")
                for image in leftovers.verified(ec2, self.run_id):
                    self.say(f"{image} is verified and stays; --verify {image} publishes it anew")
        except (CheckopError, BotoCoreError, ClientError) as error:
            self.say(str(error))

    def _tell_of_others(self) -> None:
        known = leftovers.by_run(self.clients.ec2, self.values["checkop_environment"])
        for run_id, found in sorted(known.items()):
            self.say(
                f"bake {run_id} has {', '.join(found)}: it is still under way, or it was killed. If it was: "
                f"checkop bake -i {self.request.inventory} --clear {run_id}"
            )

    def verify(self, image: str) -> Outcome:
        """Pass an image that a plain ``packer build`` made through the gates, and publish it.

        Raises
        ------
        CheckopError
            It is not this environment's, or a gate was not passed; the image itself stays as it is.
        """
        ec2, values = self.clients.ec2, self.values
        publication.own_image(ec2, image, values["checkop_environment"])
        self.manifests.require()
        record = template.record_of(image)
        if record is None:
            self.say(f"{image} was not baked on this machine: without its manifest no release of it can be compared")
        made = manifest.complete(record, {}) if record else None
        vpc = lookup.vpc_id(ec2, values["network_name"], values["aws_tags"], check=False)
        try:
            group = leftovers.make_security_group(ec2, self.run_id, vpc, self.operator_cidrs, values["aws_tags"])
            passed = self._gate(image, group)
            differences = self._publish(image, made)
        finally:
            self._clear(keep_image=True)
        return Outcome(image, "none", gates=passed, timings=self.timings, differences=differences)

    def _make(self, source: str, bake_key: key.Key) -> Outcome:
        ec2, values = self.clients.ec2, self.values
        tags: Mapping[str, str] = values["aws_tags"]
        if self.request.origin == "instance":
            with self._timed("copy of the hub"):
                source = hub.copy(ec2, values, self.run_id)
        vpc = lookup.vpc_id(ec2, values["network_name"], tags, check=False)
        # The perimeter's group for hub and builders reaches ChOp-Temp; ours lets the operator in.
        base = lookup.security_group_id(ec2, vpc, f"{values['network_name']}-base", check=False)
        group = leftovers.make_security_group(ec2, self.run_id, vpc, self.operator_cidrs, tags)
        with self._timed("packer"):
            template.build(self.variables(source, bake_key.digest, [base, group]))
        image, record = template.artifact(self.run_id, values["aws_region"])
        passed = self._gate(image, group)
        with self._timed("publication"):
            described = publication.find_image(ec2, image)
            facts = {"id": image, "name": described.get("Name", ""), "created": described.get("CreationDate", "")}
            made = manifest.complete(record, {"inputs": bake_key.parts, "image": facts})
            differences = self._publish(image, made)
        return Outcome(
            image,
            bake_key.digest,
            source_ami=source,
            gates=passed,
            timings=self.timings,
            differences=differences,
        )

    def _publish(self, image: str, made: Mapping[str, Any] | None) -> dict[str, Any]:
        """Keep the manifest and publish the image; return what it differs in from the one in service.

        The manifest goes first: whoever finds a verified image finds its manifest. So does the comparison: what fails
        after publication would have a published image removed.
        """
        ssm, prefix = self.clients.ssm, self.values["ssm_prefix"]
        place, differences = "", {}
        if made is not None:
            differences = self._compare(published_images(ssm, prefix).get(IN_SERVICE, ""), made)
            self.manifests.keep(image, made)
            place = self.manifests.place(image)
        publication.publish(self.clients.ec2, ssm, prefix, image, self.values["aws_tags"], manifest=place)
        return differences

    def _gate(self, image: str, group: str) -> list[Passed]:
        limit = float(self.values["image_gate_timeout_seconds"])
        with tempfile.TemporaryDirectory(prefix="checkop-gate-") as folder, self._timed("gates"):
            self.say(f"gates: booting {image} in {', '.join(self.values['fleet_zones'])}")
            booted = clones.launch(
                self.clients.ec2,
                self.values,
                image,
                self.run_id,
                security_group=group,
                folder=Path(folder),
                timeout_seconds=limit,
            )
            asked = gates.Gates(self.clients, self.values, booted, self.request.version, self.run_id)
            return gates.ask_all(asked, self.say)

    def _compare(self, in_service: str, made: Mapping[str, Any]) -> dict[str, Any]:
        if not in_service:
            return {}
        try:
            before = self.manifests.load(in_service)
        except CheckopError as error:
            self.say(f"not compared with {in_service}, which is in service: {error}")
            return {}
        if before is None:
            self.say(
                f"not compared with {in_service}, which is in service: {self.manifests.place(in_service)} is missing"
            )
            return {}
        found = manifest.differences(before, made)
        self.say(f"compared with {in_service}, which is in service:")
        for line in manifest.lines(found):
            self.say(line)
        return manifest.as_json(found)

    def variables(self, source: str, digest: str, security_groups: list[str]) -> dict[str, str | list[str]]:
        """Return the values of packer/variables.pkr.hcl for this bake."""
        given: dict[str, str | list[str]] = {
            "environment": self.request.environment,
            "application_version": self.request.version,
            "source_ami_id": source,
            "playbook": "bake" if self.request.origin == "source" else "bake_instance",
            "git_revision": key.git_revision(REPOSITORY),
            "bake_key": digest,
            "run_id": self.run_id,
            "security_group_ids": security_groups,
        }
        if self.request.archive:
            given |= {"application_archive": self.request.archive, "application_archive_sha256": self.request.sha256}
        return given

    def _timed(self, phase: str) -> _Timer:
        return _Timer(self.timings, phase)


class _Timer:
    def __init__(self, timings: dict[str, float], phase: str) -> None:
        self._timings, self._phase, self._began = timings, phase, 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._timings[self._phase] = round(time.monotonic() - self._began, 2)


def make_run_id(now: datetime) -> str:
    """Return a mark for one bake: the time, and four digits against two in the same second."""
    return f"{now:%Y%m%d%H%M%S}-{secrets.token_hex(2)}"
