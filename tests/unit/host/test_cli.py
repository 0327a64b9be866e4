from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from checkop_host import addresses, cli, imds, lifecycle
from checkop_host.errors import HostError


@pytest.fixture(autouse=True)
def nothing_left_of_the_process():
    """`main` sets the umask and adds handlers to the root logger, as a program may; a test may not keep them."""
    root = logging.getLogger()
    before, level, umask = list(root.handlers), root.level, os.umask(0o022)
    yield
    os.umask(umask)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def service():
    """Instance metadata, version 2: no token, no answer."""
    values = {"instance-id": "i-1", "placement/region": "us-east-1"}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            self.reply(200 if self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") else 400, "token")

        def do_GET(self):
            if self.headers.get("X-aws-ec2-metadata-token") != "token":
                self.reply(401, "")
                return
            value = values.get(self.path.removeprefix("/latest/meta-data/"))
            self.reply(404 if value is None else 200, value or "")

        def reply(self, code, text):
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_metadata_are_read_with_a_token(service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # Never asked: metadata are link-local.
    metadata = imds.Metadata(service)
    assert metadata.instance_id() == "i-1"
    assert metadata.region() == "us-east-1"
    assert metadata.get("autoscaling/target-lifecycle-state") is None


def test_the_endpoint_of_the_environment_is_that_of_the_sdks(service, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service)
    assert imds.Metadata().instance_id() == "i-1"


def test_no_metadata_is_an_error_that_names_the_endpoint():
    with pytest.raises(HostError, match=r"127\.0\.0\.1:9"):
        imds.Metadata("http://127.0.0.1:9", timeout=1).instance_id()


@pytest.fixture
def run(tmp_path, capsys):
    def call(*words, host=None, **sections):
        (tmp_path / "host.json").write_text(json.dumps(host or {"ssm_prefix": "/checkop/test"}))
        (tmp_path / "conf.d").mkdir(exist_ok=True)
        for name, value in sections.items():
            (tmp_path / "conf.d" / f"{name}.json").write_text(json.dumps({name: value}))
        files = ["--host-file", str(tmp_path / "host.json"), "--role-folder", str(tmp_path / "conf.d")]
        status = cli.main([*files, *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_role_that_was_not_applied_is_named(run):
    status, out, err = run("drain")
    assert (status, out) == (2, "")
    assert "no settings `lifecycle`" in err


def test_settings_that_are_no_json_are_named(run, tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "storage.json").write_text("{")
    status, _, err = run("mount-check")
    assert status == 2
    assert "storage.json is not JSON" in err


def test_a_path_that_is_not_mounted(run, tmp_path):
    status, _, err = run("mount-check", "--path", str(tmp_path))
    assert status == 1
    assert f"{tmp_path} is not mounted" in err


def test_nothing_expires_on_a_disk_that_should_be_a_mount(run, tmp_path):
    storage = {"mount_path": str(tmp_path), "folders": [{"name": "conf.d", "keep_days": 1}]}
    status, out, err = run("expire", storage=storage)
    assert (status, out) == (1, "")
    assert "nothing expires" in err


def test_installing_asks_for_an_archive_only_when_it_needs_one(run, tmp_path):
    application = {"root": str(tmp_path), "keep_releases": 3, "command": ["/bin/sh"]}
    words = ["install-release", "--version", "1", "--sha256", "0" * 64]
    status, out, _ = run(*words, "--dry-run", application=application)
    assert status == 0
    assert json.loads(out) == {"changed": True, "state": "absent", "version": "1"}
    status, _, err = run(*words)
    assert status == 2
    assert "--archive is wanted" in err


def test_a_release_can_be_read_whatever_the_umask_of_who_installs_it(run, tmp_path):
    archive = tmp_path / "checkop.tar"
    with tarfile.open(archive, "w") as bundle:
        # No entry for the folder: it is made on the way.
        member = tarfile.TarInfo("checkop_app/app.py")
        bundle.addfile(member, io.BytesIO())
    (tmp_path / "releases").mkdir()
    application = {"root": str(tmp_path), "keep_releases": 3, "command": ["/bin/sh"]}
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    os.umask(0o027)
    words = ["install-release", "--version", "1", "--sha256", digest, "--archive", str(archive)]
    assert run(*words, application=application)[0] == 0
    release = tmp_path / "releases" / "1"
    for path in (release, release / "checkop_app", release / "checkop_app/app.py"):
        assert path.stat().st_mode & 0o005 == (0o005 if path.is_dir() else 0o004), path


@pytest.mark.parametrize("refusal", [None, HostError("not authorized")])
def test_an_ending_instance_keeps_its_address_until_its_action_is_completed(monkeypatch, tmp_path, refusal):
    values = {
        "address": {"pool_tags": {}},
        "lifecycle": {
            "poll_seconds": 1,
            "drain_flag": str(tmp_path / "draining"),
            "open_jobs": str(tmp_path / "*.{host}.part"),
            "stale_after_seconds": 60,
            "drain_timeout_seconds": 1,
            "drain_settle_seconds": 0,
            "drain_poll_seconds": 1,
        },
    }
    done = []

    class Hooks:
        heartbeat = None

        def __init__(self, clients, instance_id):
            pass

        def complete(self, **options):
            done.append("completed")

    def release(settings, clients, instance_id):
        done.append("released")
        if refusal:
            raise refusal

    monkeypatch.setattr(lifecycle, "Hooks", Hooks)
    monkeypatch.setattr(addresses, "release", release)
    host = cli.Host(values)
    monkeypatch.setattr(host.metadata, "instance_id", lambda: "i-1")
    cli._end(host)
    assert (tmp_path / "draining").exists()
    assert done == ["completed", "released"]


def test_wrong_use_is_two(run):
    with pytest.raises(SystemExit) as stop:
        run("no-such-command")
    assert stop.value.code == 2


def test_what_fails_outside_is_tried_again_and_wrong_use_is_not(monkeypatch):
    pauses, outcomes = [], [HostError("AWS does not answer"), HostError("AWS does not answer"), None]
    monkeypatch.setattr(cli.time, "sleep", pauses.append)

    def attempt():
        if outcome := outcomes.pop(0):
            raise outcome
        return "done"

    assert cli._patiently(60, attempt) == "done"
    assert len(pauses) == 2
    outcomes[:] = [HostError("still not")]
    with pytest.raises(HostError, match="still not"):
        cli._patiently(0, attempt)
    outcomes[:] = [cli.UsageError("wrong"), None]
    with pytest.raises(cli.UsageError):
        cli._patiently(60, attempt)
