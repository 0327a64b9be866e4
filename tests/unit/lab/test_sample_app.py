"""The sample application over real HTTP and a real folder; only its database is a list."""

from __future__ import annotations

import hashlib
import http.client
import importlib
import io
import json
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import lab.sample_app
from lab.sample_app import build

SPREADSHEET = b'<?xml version="1.0"?><Workbook/>'


class Rows:
    def __init__(self):
        self.kept = []

    def record(self, identifier, kind, host, version):
        self.kept.append((kind, host, version))

    def counts(self):
        return {kind: sum(row[0] == kind for row in self.kept) for kind in {row[0] for row in self.kept}}


@pytest.fixture
def application(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(lab.sample_app.__file__).parent))
    for folder in ("uploads", "reports", "photos", "archives"):
        (tmp_path / folder).mkdir()
    modules = {
        name: importlib.import_module(f"checkop_app.{name}") for name in ("server", "settings", "storage", "readiness")
    }
    environment = {f"CHECKOP_DATABASE_{name}": "x" for name in ("HOST", "SCHEMA", "USERNAME", "PASSWORD")}
    settings = modules["settings"].Settings(dict(environment, CHECKOP_STORAGE=str(tmp_path), CHECKOP_PORT="0"))
    storage = modules["storage"].Storage(str(tmp_path), "host-a")
    readiness = modules["readiness"].Readiness({"storage": lambda: storage.probe("host")}, settings.fault)
    server = modules["server"].Server(settings, storage, Rows(), readiness)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    for name in [name for name in sys.modules if name.startswith("checkop_app")]:
        del sys.modules[name]


def ask(server, method, path, body=None):
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    try:
        connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body).encode())
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def photo_server():
    class Photo(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"photo of " + self.path.encode())

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Photo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_upload_becomes_a_report_and_both_can_be_downloaded(application):
    status, body = ask(application, "POST", "/api/uploads", SPREADSHEET)
    upload = json.loads(body)["id"]
    assert (status, ask(application, "GET", f"/api/uploads/{upload}")) == (201, (200, SPREADSHEET))
    report = json.loads(ask(application, "POST", "/api/reports", {"upload": upload})[1])["id"]
    status, text = ask(application, "GET", f"/api/reports/{report}")
    assert status == 200
    assert upload.encode() in text
    assert f">{len(SPREADSHEET)}<".encode() in text
    assert application.database.counts() == {"uploads": 1, "reports": 1}


def test_photos_are_fetched_in_order_and_compressed(application, photo_server):
    urls = [f"{photo_server}/{name}" for name in ("b", "a")]
    photos = json.loads(ask(application, "POST", "/api/photos", {"urls": urls})[1])["id"]
    archive = json.loads(ask(application, "POST", "/api/archives", {"photos": photos})[1])["id"]
    _, data = ask(application, "GET", f"/api/archives/{archive}")
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {
            "photo-0001.jpg": b"photo of /b",
            "photo-0002.jpg": b"photo of /a",
        }


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/api/uploads", b"%PDF-1.4 no spreadsheet", "no XLS"),
        ("/api/reports", {"upload": "../../etc/passwd"}, "no identifier"),
        ("/api/archives", {"photos": "0" * 32}, "photos has no"),
        ("/api/photos", {"urls": ["file:///etc/passwd"]}, "no http"),
    ],
)
def test_what_cannot_be_served_is_refused(application, tmp_path, path, body, word):
    status, text = ask(application, "POST", path, body)
    assert status == 422
    assert word in json.loads(text)["error"]
    assert application.database.kept == []


def test_readiness_is_what_the_proofs_say(application):
    status, body = ask(application, "GET", "/health/ready")
    assert (status, json.loads(body)) == (503, {"ready": False, "storage": "not proved yet"})
    application.readiness.start()
    deadline = threading.Event()
    for _ in range(100):
        status, body = ask(application, "GET", "/health/ready")
        if status == 200:
            break
        deadline.wait(0.05)
    assert (status, json.loads(body)) == (200, {"ready": True, "storage": "ok"})
    assert ask(application, "GET", "/health/live")[0] == 200


def test_open_work_is_finished_before_the_process_ends(application, tmp_path):
    connection = http.client.HTTPConnection(*application.server_address, timeout=10)
    connection.putrequest("POST", "/api/uploads")
    connection.putheader("Content-Length", str(len(SPREADSHEET)))
    connection.endheaders(SPREADSHEET[:10])
    while not application._busy:
        threading.Event().wait(0.01)
    application.stopping = True
    left = []
    waiting = threading.Thread(target=lambda: left.append(application.finish(10)))
    waiting.start()
    connection.send(SPREADSHEET[10:])
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Connection")) == (201, "close")
    waiting.join()
    assert left == [0]
    connection.close()


def test_the_same_inputs_give_the_same_archive(tmp_path):
    first, digest = build.build("1.0.0", tmp_path / "a")
    _, again = build.build("1.0.0", tmp_path / "b")
    _, other = build.build("1.0.0", tmp_path / "c", "never-ready")
    assert digest == again == hashlib.sha256(first.read_bytes()).hexdigest()
    assert other != digest
    with tarfile.open(first) as tar:
        assert {"VERSION", "checkop_app/__main__.py", "pymysql/__init__.py"} <= set(tar.getnames())
