from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import tarfile
import threading
import time
import zipfile
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


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def pack(tmp_path):
    def make(members=APPLICATION, name="release.tar.gz", form=tarfile.PAX_FORMAT):
        path = tmp_path / name
        with tarfile.open(path, "w:gz", format=form) as bundle:
            for info, data in members:
                bundle.addfile(info, io.BytesIO(data))
        return str(path), sha256(path)

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


def link(name, target):
    return member(name, kind=tarfile.SYMTYPE, link=target)


def hard(name, target):
    return member(name, kind=tarfile.LNKTYPE, link=target)


def folder(name):
    return member(name, kind=tarfile.DIRTYPE)


def sparse(name):
    info, data = member(name, b"x")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1099511627776"}
    return info, data


HOSTILE = {
    "parent": [member("../escape", b"x")],
    "absolute": [member("/etc/cron.d/escape", b"x")],
    "parent behind a folder": [member("a/../../escape", b"x")],
    "parent that comes back": [member("a/../escape", b"x")],
    "parent of a folder": [folder("../escape")],
    "only a parent": [folder("..")],
    "absolute folder": [folder("/escape")],
    "link to a parent": [link("link", "../../../etc/passwd")],
    "link to the folder above": [link("link", "..")],
    "absolute link": [link("link", "/etc/passwd")],
    "link in a folder": [folder("a"), link("a/link", "../../escape")],
    "link without its folder": [link("a/link", "../../escape")],
    "chained links": [
        link("a/b/c/d/up", "../../../.."),
        link("out", "a/b/c/d/up/../../../.."),
        member("out/escape", b"x"),
    ],
    "chained links alone": [link("a/b/c/d/up", "../../../.."), link("out", "a/b/c/d/up/../../../..")],
    "chain in the other order": [link("out", "up/.."), link("up", ".")],
    "three links": [link("a", "."), link("b", "a/.."), link("c", "b/..")],
    "file below a link": [folder("a"), link("l", "a"), member("l/escape", b"x")],
    "folder below a link": [folder("a"), link("l", "a"), folder("l/escape")],
    "link below a link": [folder("a"), link("l", "a"), link("l/m", "../x")],
    "file before the link above it": [member("l/escape", b"x"), link("l", "checkop_app")],
    "file below a file": [member("f", b"x"), member("f/escape", b"x")],
    "link, then file": [link("l", "checkop_app"), member("l", b"x")],
    "file, then link": [member("l", b"x"), link("l", "checkop_app")],
    "folder, then link": [folder("l"), link("l", "checkop_app")],
    "link, then folder": [link("l", "checkop_app"), folder("l")],
    "file twice": [member("f", b"x"), member("f", b"y")],
    "file twice in two spellings": [member("f", b"x"), member("./f", b"y")],
    "hard link": [hard("hard", "checkop_app/__main__.py")],
    "hard link outside": [hard("hard", "/etc/passwd")],
    "hard link to a link": [link("l", "checkop_app"), hard("hard", "l")],
    "character device": [member("device", kind=tarfile.CHRTYPE)],
    "block device": [member("device", kind=tarfile.BLKTYPE)],
    "pipe": [member("pipe", kind=tarfile.FIFOTYPE)],
    "sparse": [sparse("sparse")],
    "line break": [member("a\nb", b"x")],
    "escape character": [member("a\x1b[2Jb", b"x")],
    "link to a line break": [link("l", "a\nb")],
    "link to nothing": [link("l", "")],
}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_leaves_nothing_anywhere(  # noqa: PLR0917 - fixtures
    store, pack, in_service, tmp_path, kind, form
):
    if kind == "sparse" and form == tarfile.GNU_FORMAT:
        pytest.skip("the header is of the pax format")
    before = sorted(path for path in tmp_path.rglob("*") if path.name != "hostile.tar.gz")
    archive, checksum = pack([*APPLICATION, *HOSTILE[kind]], name="hostile.tar.gz", form=form)
    with pytest.raises(UsageError):
        store.install(archive, "2.0.0", checksum, COMMAND)
    assert listing(store) == in_service
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "hostile.tar.gz") == before
    assert not list(Path("/").glob("escape"))


def test_inner_links_and_modes_are_kept_to_what_a_release_may_have(store, pack):
    harmless = [folder("a"), member("a/run", b"x", mode=0o6755), link("a/same", "run"), link("up", "a/../checkop_app")]
    assert install(store, pack, "1.0.0", [*APPLICATION, *harmless])
    run = Path(store.current, "a", "run")
    assert (run.stat().st_mode & 0o7777, Path(store.current, "a", "same").read_bytes()) == (0o755, b"x")
    assert Path(store.current, "up", "__main__.py").is_file()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_names_of_any_language_are_kept(store, pack, form):
    archive, checksum = pack([*APPLICATION, member("señal/año.txt", b"x"), link("enlace", "señal/año.txt")], form=form)
    assert store.install(archive, "1.0.0", checksum, COMMAND)
    assert Path(store.current, "enlace").read_bytes() == b"x"


def test_an_archive_that_unpacks_to_more_than_any_release_is_refused(store, pack, in_service, monkeypatch):
    monkeypatch.setattr(release, "_MAX_BYTES", 1_000_000)
    with pytest.raises(UsageError, match="more than 1000000 bytes"):
        install(store, pack, "2.0.0", [*APPLICATION, member("zeros", b"\0" * 2_000_000)])
    monkeypatch.setattr(release, "_MAX_MEMBERS", 50)
    with pytest.raises(UsageError, match="50 members"):
        install(store, pack, "2.0.0", [*APPLICATION, *(folder(f"f{number}") for number in range(60))])
    assert listing(store) == in_service


def spoil(content, start):
    return content[:start] + bytes(255 - byte for byte in content[start : start + 40]) + content[start + 40 :]


@pytest.mark.parametrize("start", [12, 30, 100])
def test_broken_compression_ends_in_a_sentence(store, pack, in_service, tmp_path, start):
    archive, _ = pack([*APPLICATION, member("big", os.urandom(20_000))])
    content = Path(archive).read_bytes()
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(spoil(content, start % len(content)))
    with pytest.raises(UsageError, match="is not a tar archive"):
        store.install(str(broken), "2.0.0", sha256(broken), COMMAND)
    assert listing(store) == in_service


def test_another_kind_of_archive_ends_in_a_sentence(store, in_service, tmp_path):
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("checkop_app/__main__.py", "print()")
    with pytest.raises(UsageError, match="is not a tar archive"):
        store.install(str(archive), "2.0.0", sha256(archive), COMMAND)
    empty = tmp_path / "empty.tar.gz"
    empty.write_bytes(gzip.compress(b""))
    with pytest.raises(UsageError):
        store.install(str(empty), "2.0.0", sha256(empty), COMMAND)
    assert listing(store) == in_service


def test_nobody_can_change_what_was_checked(store, pack, tmp_path):
    """Another process rewrites the archive, in place and by renaming, while it is installed, 200 times."""
    good, checksum = pack()
    evil, _ = pack([folder("checkop_app"), member("checkop_app/__main__.py", b"print('evil!')")], name="evil.tar.gz")
    wanted, content = Path(good).read_bytes(), Path(evil).read_bytes()
    target, ended = tmp_path / "upload.tar", threading.Event()
    target.write_bytes(wanted)

    def race():
        turn = 0
        while not ended.is_set():
            turn += 1
            text = content if turn % 2 else wanted
            if turn % 3:
                target.write_bytes(text)
            else:
                (tmp_path / "next").write_bytes(text)
                (tmp_path / "next").replace(target)

    racer = threading.Thread(target=race)
    racer.start()
    try:
        for number in range(200):
            try:
                store.install(str(target), f"1.{number}", checksum, COMMAND)
            except UsageError:
                continue
            installed = Path(store.releases, f"1.{number}", "checkop_app", "__main__.py").read_bytes()
            assert installed == b"print('hello')"
    finally:
        ended.set()
        racer.join()


def test_what_is_no_archive_is_refused(store, in_service, tmp_path):
    junk = tmp_path / "junk.tar.gz"
    junk.write_bytes(b"<html>not found</html>")
    with pytest.raises(UsageError, match="not a tar archive"):
        store.install(str(junk), "2.0.0", sha256(junk), COMMAND)
    assert listing(store) == in_service


def test_a_truncated_archive_is_refused(store, pack, in_service, tmp_path):
    archive, _ = pack([*APPLICATION, member("big", os.urandom(200_000))])
    short = tmp_path / "short.tar.gz"
    short.write_bytes(Path(archive).read_bytes()[:-50_000])
    with pytest.raises(UsageError, match="not a tar archive"):
        store.install(str(short), "2.0.0", sha256(short), COMMAND)
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
