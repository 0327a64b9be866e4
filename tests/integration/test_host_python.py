"""The hosts' code must compile and work on Python 2.7; what proves it is Python 2.7."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import containers
from lab.host_image import build

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    *(ROOT / "plugins" / "modules" / name for name in ("checkop_tree.py", "checkop_units.py")),
    *sorted(ROOT.glob("roles/*/library/*.py")),
]

# What differs most between the two languages: text and bytes, integers, tar archives, urllib.
WORK = r"""
# -*- coding: utf-8 -*-
from __future__ import unicode_literals
import hashlib, io, json, os, sys, tarfile, tempfile, time
sys.path.insert(0, sys.argv[1])
from checkop_host import cli, command, configure, environment, expiry, files, imds, lifecycle, mount, release, settings
folder = tempfile.mkdtemp()
text = environment.render({"NAME": "\u00e9\"$", "YES": environment.as_text(True)})
assert files.replace_text(os.path.join(folder, "env"), text, 0o640)
assert not files.replace_text(os.path.join(folder, "env"), text, 0o640)
archive = os.path.join(folder, "a.tar.gz")
bundle = tarfile.open(archive, "w:gz")
info = tarfile.TarInfo(str("app.py")); info.size = 1
bundle.addfile(info, io.BytesIO(b"1")); bundle.close()
os.makedirs(os.path.join(folder, "releases"))
store = release.Store(folder)
checksum = hashlib.sha256(open(archive, "rb").read()).hexdigest()
assert store.install(archive, "1.0", checksum, [sys.executable, "-m", "app"])
assert configure.current_version(store.current) == "1.0"
accented = os.path.join(folder, "archives", "Cami\u00f3n").encode("utf-8")
os.makedirs(accented)
open(os.path.join(accented, b"ni\xc3\xb1o"), "w").close()
os.utime(os.path.join(accented, b"ni\xc3\xb1o"), (0, 0))
freed = expiry.expire(folder, json.loads('[{"name": "archives", "keep_days": 1}]'), 10**9)[0]
assert (freed.files, freed.errors) == (1, 0)
job = os.path.join(folder, "reports").encode("utf-8") + b"/.informaci\xc3\xb3n.host.job"
os.makedirs(os.path.dirname(job))
open(job, "w").close()
pattern = json.loads(json.dumps(os.path.join(folder, "*", ".*.{host}.job")))
assert len(lifecycle.open_jobs(pattern, "host", time.time(), 60)) == 1
assert mount.answers(folder, 5)
try:
    imds.Metadata("http://127.0.0.1:9", 1).instance_id()
except cli.HostError:
    pass
else:
    raise AssertionError("an endpoint that nobody serves has answered")
"""


@pytest.fixture(scope="module")
def python27() -> list[str]:
    """Return the words that run Python 2.7 in a container of the host image."""
    image = build.ensure()
    environment = containers.environment()
    settings = [f"{name}={value}" for name, value in environment.items()]
    podman = ["podman", "run", "--rm", "--network=none", "--log-driver=none", f"--volume={ROOT}:{ROOT}:ro"]
    return ["env", *settings, *podman, "--entrypoint=/usr/bin/python2.7", image, "-B"]


def test_all_that_runs_on_hosts_compiles(python27: list[str]) -> None:
    sources = [*sorted((ROOT / "roles/host_tools/files/checkop_host").glob("*.py")), *MODULES]
    check = "import sys\nfor path in sys.argv[1:]: compile(open(path).read(), path, 'exec')"
    done = subprocess.run([*python27, "-c", check, *map(str, sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(sources) > 10


def test_the_program_works(python27: list[str]) -> None:
    done = subprocess.run(
        [*python27, "-c", WORK, str(ROOT / "roles/host_tools/files")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
