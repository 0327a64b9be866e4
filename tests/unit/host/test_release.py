from __future__ import annotations

import errno
import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from checkop_host import command, release
from checkop_host.errors import HostError, UsageError

COMMAND = ["/bin/sh", "-m", "checkop_app"]


def member(name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o600):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), mode
    return info, data


APPLICATION = [member("checkop_app", kind=tarfile.DIRTYPE), member("checkop_app/__main__.py", b"print('hello')")]


@pytest.fixture
def pack(tmp_path):
    def make(members=APPLICATION, name="release.tar.gz"):
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as bundle:
            for info, data in members:
                bundle.addfile(info, io.BytesIO(data))
        return str(path), release.checksum(str(path))

    return make


@pytest.fixture
def store(tmp_path):
    (tmp_path / "opt" / "releases").mkdir(parents=True)
    return release.Store(str(tmp_path / "opt"), keep=3)


def install(store, pack, version, members=None, command=COMMAND):
    archive, sha256 = pack(members or [*APPLICATION, member("VERSION", version.encode())])
    return store.install(archive, version, sha256, command)


def listing(store):
    """Return the releases, and where `current` leads."""
    current = Path(store.current)
    releases = sorted(path.name for path in Path(store.releases).iterdir())
    return releases, str(current.readlink()) if current.is_symlink() else None


def test_a_release_is_unpacked_and_taken_into_service(store, pack):
    assert install(store, pack, "1.0.0")
    assert listing(store) == (["1.0.0"], "releases/1.0.0")
    installed = Path(store.current, "checkop_app", "__main__.py")
    assert installed.stat().st_mode & 0o777 == 0o644, "the application's user can read what root owns"
    assert installed.parent.stat().st_mode & 0o777 == 0o755


def test_the_same_release_again_changes_nothing_and_needs_no_archive(store, pack):
    archive, sha256 = pack()
    store.install(archive, "1.0.0", sha256, COMMAND)
    assert store.state("1.0.0", sha256) == "current"
    assert store.install(None, "1.0.0", sha256, COMMAND) is False


def test_going_back_flips_the_link_without_an_archive(store, pack):
    first = pack([*APPLICATION, member("VERSION", b"1")])
    store.install(first[0], "1.0.0", first[1], COMMAND)
    install(store, pack, "2.0.0")
    assert store.state("1.0.0", first[1]) == "installed"
    assert store.install(None, "1.0.0", first[1], COMMAND)
    assert listing(store) == (["1.0.0", "2.0.0"], "releases/1.0.0")


def test_the_last_three_stay_and_always_the_one_in_service(store, pack):
    for age, version in ((50, "1.0.0"), (40, "1.1.0"), (30, "1.2.0"), (20, "1.3.0")):
        install(store, pack, version)
        marker = Path(store.releases, version, ".checkop-release.json")
        os.utime(marker, (time.time() - age, time.time() - age))
    assert listing(store)[0] == ["1.1.0", "1.2.0", "1.3.0"]
    store.keep = 1
    install(store, pack, "0.9.0")
    assert listing(store) == (["0.9.0"], "releases/0.9.0")


@pytest.fixture
def in_service(store, pack):
    install(store, pack, "1.0.0")
    return listing(store)


def test_a_wrong_checksum_installs_nothing(store, pack, in_service):
    archive, _ = pack([*APPLICATION, member("other", b"other")])
    with pytest.raises(UsageError, match=r"has sha256 .* nothing was installed"):
        store.install(archive, "2.0.0", "0" * 64, COMMAND)
    assert listing(store) == in_service


def test_a_release_never_changes(store, pack, in_service):
    archive, sha256 = pack([member("other", b"other")])
    with pytest.raises(UsageError, match=r"1\.0\.0 is already installed.*version of its own"):
        store.install(archive, "1.0.0", sha256, COMMAND)
    assert listing(store) == in_service


@pytest.mark.parametrize(
    "bad",
    [
        [member("../escape", b"x")],
        [member("/etc/cron.d/escape", b"x")],
        [member("a/../../escape", b"x")],
        [member("link", kind=tarfile.SYMTYPE, link="../../../etc/passwd")],
        [member("link", kind=tarfile.SYMTYPE, link="/etc/passwd")],
        [member("device", kind=tarfile.CHRTYPE)],
        [member("hard", kind=tarfile.LNKTYPE, link="checkop_app/__main__.py")],
    ],
)
def test_an_archive_that_leads_out_of_its_release_is_refused(store, pack, in_service, bad):
    with pytest.raises(UsageError, match=r"leads out|neither file"):
        install(store, pack, "2.0.0", [*APPLICATION, *bad])
    assert listing(store) == in_service


def test_what_is_no_archive_is_refused(store, in_service, tmp_path):
    junk = tmp_path / "junk.tar.gz"
    junk.write_bytes(b"<html>not found</html>")
    with pytest.raises(UsageError, match="not a tar archive"):
        store.install(str(junk), "2.0.0", release.checksum(str(junk)), COMMAND)
    assert listing(store) == in_service


def test_a_truncated_archive_is_refused(store, pack, in_service, tmp_path):
    archive, _ = pack([*APPLICATION, member("big", os.urandom(200_000))])
    short = tmp_path / "short.tar.gz"
    short.write_bytes(Path(archive).read_bytes()[:-50_000])
    with pytest.raises(UsageError, match="not a tar archive"):
        store.install(str(short), "2.0.0", release.checksum(str(short)), COMMAND)
    assert listing(store) == in_service


def test_an_archive_without_what_the_command_starts_is_refused(store, pack, in_service):
    with pytest.raises(UsageError, match="no module checkop_app"):
        install(store, pack, "2.0.0", [member("README", b"hello")])
    assert listing(store) == in_service


def test_no_space_is_told_before_anything_is_unpacked(store, pack, in_service, monkeypatch):
    class Full:
        f_bavail, f_frsize = 1, 4096

    monkeypatch.setattr(release.os, "statvfs", lambda path: Full)
    with pytest.raises(HostError, match=r"no space left.*4096 bytes are free"):
        install(store, pack, "2.0.0")
    assert listing(store) == in_service


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(store, pack, in_service, monkeypatch):
    def full(self, member, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extract", full)
    with pytest.raises(HostError, match="no space left"):
        install(store, pack, "2.0.0")
    assert listing(store) == in_service


def test_what_an_interrupted_installation_left_is_no_obstacle(store, pack):
    Path(store.releases, ".new-1.0.0", "half").mkdir(parents=True)
    assert install(store, pack, "1.0.0")
    assert listing(store)[0] == ["1.0.0"]
    assert not Path(store.current, "half").exists()


@pytest.mark.parametrize("version", ["", "../1", "a b", "-1", "x" * 65])
def test_a_version_that_is_no_folder_name_is_refused(store, version):
    with pytest.raises(UsageError, match="not a version"):
        store.state(version, "0" * 64)


@pytest.mark.parametrize("sha256", ["", "abc", "A" * 64])
def test_a_checksum_is_required(store, sha256):
    with pytest.raises(UsageError, match="not a sha256"):
        store.state("1.0.0", sha256)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["/bin/sh", "-m", "checkop_app"], None),
        (["/bin/sh", "-m", "pkg.tool"], None),
        (["bin/start"], None),
        (["/bin/sh", "run.py", "--port", "1"], None),
        ([], "no start command"),
        (["/usr/bin/no-such"], "no /usr/bin/no-such on this host"),
        (["bin/missing"], "no bin/missing in the archive"),
        (["run.py"], "not executable"),
        (["/bin/sh", "-m", "other"], "no module other"),
        (["/bin/sh", "other.py"], "no other.py"),
    ],
)
def test_start_commands(tmp_path, words, problem):
    for name in ("checkop_app/__main__.py", "pkg/tool.py", "bin/start", "run.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bin/start").chmod(0o755)
    found = command.problem(words, str(tmp_path))
    assert (found is None) if problem is None else (problem in found)
