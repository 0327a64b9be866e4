"""Packer 1.6.6 accepts the template and refuses bad values, later versions get the same, and packer.py drives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from checkop import cli
from checkop.bake import image_tests, template
from checkop.commands import bake as command
from checkop.errors import CheckopError

ROOT = Path(__file__).resolve().parents[2]
# What the template for Packer 1.9 and later has besides: IMDSv2, newer keys, deprecated source images.
NEWER = {
    'imds_support = "v2.0"',
    "include_deprecated = true",
    'temporary_key_pair_type = "ed25519"',
    "metadata_options {",
    'http_endpoint = "enabled"',
    'http_tokens = "required"',
    "http_put_response_hop_limit = 1",
    "}",
    "",
}


def packer(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PKR_")}
    return subprocess.run(
        ["packer", *arguments],
        cwd=ROOT,
        env={**environment, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_packer_accepts_the_template() -> None:
    done = packer("validate", "packer")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["packer", "packer/current"])
def test_the_template_is_in_packers_own_format(folder: str) -> None:
    done = packer("fmt", "-check", folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("environment=Production", "folder of inventory"),
        ("environment=", "folder of inventory"),
        ("application_version=1.0", "three numbers"),
        ("application_archive=http://example.com/a", "https:// address"),
        ("application_archive_sha256=abc", "64 lower-case"),
        ("source_ami_id=centos7", "AMI id"),
        ("playbook=site", "bake_instance"),
        ("git_revision=main", "commit id"),
        ("bake_key=1", "64 hexadecimal"),
        ("run_id=a b", "letters, digits"),
        ("ssh_timeout=5", "followed by s, m or h"),
    ],
)
def test_packer_refuses_a_bad_value(variable: str, message: str) -> None:
    done = packer("validate", "-var", variable, "packer")
    assert done.returncode != 0
    assert message in " ".join((done.stdout + done.stderr).split())


def test_production_is_accepted_by_its_name() -> None:
    done = packer("validate", "-var-file=packer/production.pkrvars.hcl", "packer")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_of_ones_own_is_accepted() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    done = packer("validate", "-var", f"kms_key_id={key}", "packer")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_template_reads_the_inventory_and_not_copies_of_it() -> None:
    told = packer("inspect", "-var", "application_version=1.4.0", "-var", "run_id=20260101-ab", "packer").stdout
    assert 'local.image_name: "base-chop-1.4.0-20260101-ab"' in told
    assert "10.20.1.0/24" in told
    assert 'local.profile: "checkop-rehearsal-fleet"' in told
    assert 'local.security_group: "checkop-base"' in told


def test_every_variable_is_described_and_those_with_a_form_are_validated() -> None:
    text = (ROOT / "packer/variables.pkr.hcl").read_text(encoding="utf-8")
    blocks = text.split("\nvariable ")[1:]
    assert len(blocks) > 10
    for block in blocks:
        assert 'description = "' in block, block
    free = {block.split('"')[1] for block in blocks if "validation {" not in block}
    assert free == {
        "security_group_ids",
        "instance_profile",
        "kms_key_id",
        "custom_endpoint_ec2",
        "skip_region_validation",
        "skip_metadata_api_check",
    }


def test_the_template_for_later_versions_has_every_line_and_only_known_ones_more() -> None:
    def lines(path: str) -> list[str]:
        text = (ROOT / path).read_text(encoding="utf-8")
        return [" ".join(line.split()) for line in text.splitlines() if not line.strip().startswith("#")]

    older, newer = lines("packer/base-chop.pkr.hcl"), lines("packer/current/base-chop.pkr.hcl")
    remaining = iter(newer)
    assert all(line in remaining for line in older), "a line is missing, or stands in another order"
    assert set(newer) - set(older) <= NEWER
    for name in ("build", "locals", "variables"):
        link = ROOT / "packer" / "current" / f"{name}.pkr.hcl"
        assert link.resolve() == ROOT / "packer" / f"{name}.pkr.hcl"


@pytest.mark.parametrize(
    ("printed", "version"), [("Packer v1.6.6\n", (1, 6)), ("Packer v1.11.2\n\nYour version is old", (1, 11))]
)
def test_the_version_is_read(printed: str, version: tuple[int, int]) -> None:
    assert template.version_of(printed) == version


def test_an_unknown_answer_is_no_version() -> None:
    with pytest.raises(CheckopError, match="does not tell"):
        template.version_of("command not found")


def fake_packer(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "packer"
    program.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_variables_reach_packer_and_lists_become_hcl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_packer(
        tmp_path,
        "import json, os, sys\n"
        "if sys.argv[1] == 'version':\n    print('Packer v1.6.6')\n"
        f"else:\n    json.dump([sys.argv[1:], os.environ['TMPDIR']], open({str(tmp_path / 'out')!r}, 'w'))\n",
        monkeypatch,
    )
    template.build({"environment": "rehearsal", "security_group_ids": ["sg-1", "sg-2"]})
    arguments, folder = json.loads((tmp_path / "out").read_text(encoding="utf-8"))
    assert arguments[0] == "build"
    assert arguments[-1] == "packer"
    assert "environment=rehearsal" in arguments
    assert 'security_group_ids=["sg-1", "sg-2"]' in arguments
    assert not Path(folder).exists()


def test_a_later_packer_gets_the_folder_with_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_packer(tmp_path, "print('Packer v1.11.2')\n", monkeypatch)
    assert template.folder() == "packer/current"


def test_a_failed_build_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_packer(tmp_path, "import sys\nif sys.argv[1] == 'build': sys.exit(1)\nprint('Packer v1.6.6')\n", monkeypatch)
    with pytest.raises(CheckopError, match="packer build failed"):
        template.build({})


def test_without_packer_the_mend_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CheckopError, match="make setup"):
        template.build({})


def interrupt_when(started: Path) -> None:
    """Send SIGINT as soon as the file is there."""

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()


def test_what_packer_says_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = "import sys\nprint('Packer v1.6.6')\nprint('==> broken', file=sys.stderr)\n"
    fake_packer(tmp_path, script, monkeypatch)
    template.build({})
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == ["==> broken", "Packer v1.6.6"]


def test_a_packer_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    fake_packer(
        tmp_path,
        "import pathlib, signal, sys, time, os\n"
        "if sys.argv[1] == 'version':\n    print('Packer v1.6.6')\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        f"    pathlib.Path({str(child)!r} + '.new').write_text(str(os.getpid()))\n"
        f"    os.rename({str(child)!r} + '.new', {str(child)!r})\n"
        "time.sleep(60)\n",
        monkeypatch,
    )
    monkeypatch.setattr(template, "CANCEL_SECONDS", 0.2)
    interrupt_when(child)
    with pytest.raises(KeyboardInterrupt):
        template.build({})
    # Its output ends when the last process that holds it has ended.
    process = Path("/proc") / child.read_text(encoding="ascii") / "stat"
    assert not process.exists() or process.read_text(encoding="ascii").split()[2] == "Z"


def test_an_interrupt_is_handed_on_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, cleaned = tmp_path / "started", tmp_path / "cleaned"
    fake_packer(
        tmp_path,
        "import pathlib, sys, time\n"
        "if sys.argv[1] == 'version':\n    print('Packer v1.6.6')\n    sys.exit()\n"
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "def end(*_):\n"
        f"    time.sleep(0.2)\n    pathlib.Path({str(cleaned)!r}).touch()\n    os._exit(1)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        "time.sleep(60)\n",
        monkeypatch,
    )
    interrupt_when(started)
    with pytest.raises(KeyboardInterrupt):
        template.build({})
    assert cleaned.exists()


def test_the_artifact_is_found_by_its_run_and_its_record_by_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "IMAGES", tmp_path)
    for run, ami in (("a", "ami-1"), ("b", "ami-2")):
        record = tmp_path / f"base-chop-{run}"
        record.mkdir()
        artifact = f"eu-west-1:{ami}0,us-east-1:{ami}"
        made: Any = {"builds": [{"artifact_id": artifact, "custom_data": {"run_id": run}}]}
        (record / "packer.json").write_text(json.dumps(made), encoding="utf-8")
    assert template.artifact("b", "us-east-1") == ("ami-2", tmp_path / "base-chop-b")
    assert template.record_of("ami-1") == tmp_path / "base-chop-a"
    assert template.record_of("ami-9") is None
    for run, region in (("c", "us-east-1"), ("b", "us-west-2")):
        with pytest.raises(CheckopError, match=f"run {run} in {region}"):
            template.artifact(run, region)


def test_the_image_tests_need_what_packer_gives() -> None:
    with pytest.raises(CheckopError, match="CHECKOP_BUILDER_KEY"):
        image_tests.main({"CHECKOP_BUILDER_HOST": "127.0.0.1", "CHECKOP_BUILDER_USER": "centos"})


def test_the_tests_of_the_image_reach_the_builder_only(tmp_path: Path) -> None:
    environment = {"CHECKOP_BUILDER_HOST": "127.5.1.1", "CHECKOP_BUILDER_USER": "centos", "CHECKOP_BUILDER_PORT": "22"}
    config = image_tests.ssh_config(environment, tmp_path / "key")
    assert "HostName 127.5.1.1" in config
    assert "IdentitiesOnly yes" in config
    done = subprocess.run(
        ["ssh", "-G", "-F", "/dev/stdin", "builder"], input=config, capture_output=True, text=True, check=True
    )
    assert "hostname 127.5.1.1" in done.stdout


def test_without_a_builder_the_tests_of_the_image_are_left_alone() -> None:
    kept = {name: value for name, value in os.environ.items() if name != "CHECKOP_BUILDER_HOST"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/image", "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no tests collected" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_a_bake_and_a_second_one_lets_it_clean_up(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = False

    def end_twice() -> None:
        nonlocal cleaned
        with command.termination_is_an_interrupt():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)
                cleaned = True

    with pytest.raises(KeyboardInterrupt):
        end_twice()
    assert cleaned
    assert signal.getsignal(number) is before


def test_a_bake_outlives_its_terminal_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with command.termination_is_an_interrupt():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_is_gone_ends_no_bake(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone = os.fdopen(writing, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", gone)
    command.say("removing what it made")
    with pytest.raises(BrokenPipeError):
        gone.close()


def test_a_bake_does_one_thing_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bake", "--dry-run", "--verify", "ami-1"])
    assert "not allowed with argument" in capsys.readouterr().err
