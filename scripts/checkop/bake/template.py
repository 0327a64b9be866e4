"""Running Packer through packer.py: its output is streamed, its variables are ours, and an interrupt reaches it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from packerpy import PackerExecutable

from checkop.errors import CheckopError
from checkop.progress import tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Where a build leaves its record, a folder by the image's name (packer/locals.pkr.hcl).
IMAGES = Path("build/images")
TEMPLATE = "packer"
# Packer that reads required_plugins has a folder of its own (docs/bake.md).
TEMPLATE_WITH_PLUGINS = "packer/current"
FIRST_WITH_PLUGINS = (1, 9)
# Packer ends its builder, key pair and security group when it is interrupted; on AWS that takes a minute or two.
CANCEL_SECONDS = 300
# For the rest of its output, once it has ended.
OUTPUT_SECONDS = 5


class Packer(PackerExecutable):  # type: ignore[misc]
    """packer.py's executable, which here ends in order when this process is interrupted.

    Its output is told line by line as it comes. It never sees the terminal: where that is gone, Packer would hang.
    """

    def __init__(self) -> None:
        path = shutil.which("packer")
        if path is None:
            raise CheckopError("packer is not installed, or not on PATH: `make setup` installs it.")
        super().__init__(path, machine_readable=False)

    def execute_cmd(self, packer_cmd: str, template: str | None = None, **kwargs: Any) -> tuple[int, Any, Any]:
        """Run packer; an interrupt is handed on, so that Packer removes what it made.

        Follows packer.py's own method, which keeps the process to itself.
        """
        command = [self.configuration[self.PATH], packer_cmd, *self._explode_args(**kwargs)]
        command += [template] if template else []
        with tempfile.TemporaryDirectory(prefix="checkop-packer-") as folder:
            # Packer 1.6.6 leaves the builder's temporary key in its folder for temporary files.
            environment = {**os.environ, "TMPDIR": folder, "PATH": search_path(), "CHECKPOINT_DISABLE": "1"}
            # A session of its own, so that a terminal's Ctrl-C reaches it once, through us.
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
                errors="replace",
            )
            telling = threading.Thread(target=_tell_all, args=(process.stdout,), daemon=True)
            telling.start()
            try:
                process.wait()
            except BaseException:
                self.cancel(process)
                raise
            finally:
                # Bounded, because what Packer has started may outlive it and hold its output open.
                telling.join(timeout=OUTPUT_SECONDS)
        return process.returncode, None, None

    @staticmethod
    def cancel(process: subprocess.Popen[str]) -> None:
        """Have Packer clean up, and kill it if it does not end.

        SIGTERM, because a program in Go never sees SIGINT where it was started with it ignored, as in a background job.
        To the whole group, because Packer watches over a copy of itself, and its provisioners end at once then.
        """
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=CANCEL_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _tell_all(output: IO[str]) -> None:
    with output:
        for line in output:
            tell(line.rstrip("\n"))


def search_path() -> str:
    """Return PATH with the folder of this interpreter first: Packer calls ansible-playbook and python3 from there."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def version_of(text: str) -> tuple[int, int]:
    """Read major and minor number of ``Packer v1.6.6``.

    Raises
    ------
    CheckopError
        The text names no version.
    """
    words = [word for word in text.split() if word.startswith("v") and word[1:2].isdigit()]
    if not words:
        raise CheckopError(f"packer does not tell its version; `packer version` printed {text!r}.")
    major, minor, *_ = words[0][1:].split(".")
    return int(major), int(minor)


def folder() -> str:
    """Return the template's folder for the Packer that is installed."""
    path = shutil.which("packer")
    if path is None:
        raise CheckopError("packer is not installed, or not on PATH: `make setup` installs it.")
    printed = subprocess.run([path, "version"], capture_output=True, text=True, check=True).stdout
    return TEMPLATE_WITH_PLUGINS if version_of(printed) >= FIRST_WITH_PLUGINS else TEMPLATE


def build(variables: Mapping[str, str | Sequence[str]]) -> None:
    """Run ``packer build``.

    Parameters
    ----------
    variables:
        Values of packer/variables.pkr.hcl; a list becomes HCL's.

    Raises
    ------
    CheckopError
        The build failed; Packer has said why and removed what it made.
    """
    given = {name: value if isinstance(value, str) else json.dumps(list(value)) for name, value in variables.items()}
    status, _, _ = Packer().build(folder(), color="false", var=given)
    if status != 0:
        raise CheckopError(
            "packer build failed: the reason stands above. No image was made, and what the build had made is removed."
        )


def artifact(run_id: str, region: str) -> tuple[str, Path]:
    """Return the AMI of a run in a region and the folder of its record, from the manifest post-processor's files.

    Raises
    ------
    CheckopError
        No record has this run.
    """
    for made in _made():
        if made.run_id == run_id and region in made.images:
            return made.images[region], made.record
    raise CheckopError(f"packer build ended well, but {IMAGES}/*/packer.json has no image of run {run_id} in {region}.")


def record_of(image_id: str) -> Path | None:
    """Return the folder of an image's record on this machine; None where it was not baked here."""
    return next((made.record for made in _made() if image_id in made.images.values()), None)


class _Made(NamedTuple):
    run_id: str
    # By region.
    images: dict[str, str]
    record: Path


def _made() -> Iterator[_Made]:
    for record in IMAGES.glob("*/packer.json"):
        for made in json.loads(record.read_text(encoding="utf-8"))["builds"]:
            run_id = (made.get("custom_data") or {}).get("run_id", "")
            # region:ami, comma-separated where the image is copied, in the order of the regions' names.
            images = dict(one.split(":") for one in made["artifact_id"].split(","))
            yield _Made(run_id, images, record.parent)
