"""AMIs: container images, committed from the containers of instances."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lab.engine import Engine, EngineError
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.api.hooks import ImageCondition
    from lab.api.views import Image
    from lab.instances import Instances
    from lab.jobs import Jobs

log = logging.getLogger(__name__)

_ATTEMPTS = 3


class Images:
    """Closes the difference between the AMIs that are registered and the container images that exist.

    Args:
        lab_id: part of every image's name.
        engine: commits, tags and removes images.
        jobs: runs the work.
        upstream: container image behind every AMI that nobody made here.
        instances: holds an instance still while it is committed.
    """

    def __init__(self, lab_id: str, engine: Engine, jobs: Jobs, upstream: str, instances: Instances) -> None:
        self._lab_id = lab_id
        self._engine = engine
        self._jobs = jobs
        self._upstream = upstream
        self._instances = instances
        # AMI id: container image. An upstream AMI's is the host image.
        self._made: dict[str, str] = {}
        self._failed: set[str] = set()

    def condition(self, image_id: str) -> ImageCondition:
        """Return how far the making of an AMI is."""
        if image_id in self._made:
            return "available"
        return "failed" if image_id in self._failed else "pending"

    def reference(self, image_id: str) -> str | None:
        """Return the container image of an AMI, or None while there is none."""
        return self._made.get(image_id)

    def listing(self) -> dict[str, str]:
        """Return AMI id: container image."""
        return dict(sorted(self._made.items()))

    def reconcile(self, wanted: list[Image]) -> None:
        """Start the work that makes what is missing and removes what is deregistered."""
        for view in wanted:
            if view.image_id in self._made or view.image_id in self._failed:
                continue
            if view.source_instance_id is None and view.source_image_id is None:
                self._made[view.image_id] = self._upstream
                continue
            step = view
            self._jobs.submit(f"image/{view.image_id}", lambda step=step: self._make(step))  # type: ignore[misc]
        listed = {view.image_id for view in wanted}
        for image_id in sorted(set(self._made) - listed):
            self._jobs.submit(f"image/{image_id}", lambda image_id=image_id: self._remove(image_id))  # type: ignore[misc]
        self._failed &= listed

    def _make(self, view: Image) -> None:
        try:
            if view.source_instance_id is not None:
                self._commit(view, view.source_instance_id)
            else:
                self._copy(view, str(view.source_image_id))
        except LabError:
            if self._jobs.failure_count(f"image/{view.image_id}") + 1 >= _ATTEMPTS:
                self._failed.add(view.image_id)
            raise

    def _commit(self, view: Image, instance_id: str) -> None:
        with self._instances.quiet(instance_id, reboot=not view.no_reboot) as container:
            self._engine.commit(container, self._name(view.image_id), pause=view.no_reboot)
        self._made[view.image_id] = self._name(view.image_id)

    def _copy(self, view: Image, source: str) -> None:
        reference = self._made.get(source)
        if reference is None:
            raise LabError(f"The image {source} that {view.image_id} copies has no content here.")
        self._engine.tag(reference, self._name(view.image_id))
        self._made[view.image_id] = self._name(view.image_id)

    def _remove(self, image_id: str) -> None:
        reference = self._made.get(image_id)
        if reference is not None and reference != self._upstream:
            self._engine.untag(reference)
        self._made.pop(image_id, None)
        try:
            self._engine.prune_images()
        except EngineError as error:
            # An instance still runs from it; the next removal tries again.
            log.info("image of %s stays for now: %s", image_id, error)

    def _name(self, image_id: str) -> str:
        return f"localhost/checkop-lab/{self._lab_id}:{image_id}"
