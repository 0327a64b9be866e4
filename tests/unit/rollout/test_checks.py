"""Requests through the balancer's nodes, against real TLS servers on loopback."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkop.errors import CheckopError
from checkop.rollout import checks
from lab import certificates

HOST = "checkop.co"


class Node(http.server.ThreadingHTTPServer):
    """One zone's node: answers with a status, a version and an instance's name."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.version = "1.1.0"
        self.asked: list[tuple[str, str]] = []
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Node

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"].partition(":")[0], self.path))
        self.send_response(self.server.status)
        self.send_header("X-CheckOP-Version", self.server.version)
        self.send_header("X-CheckOP-Host", "ip-10-20-1-5")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = certificates.Authority(tmp_path_factory.mktemp("keys"))
    files = made.issue("balancer", [HOST])
    return {"ca": made.file, "certificate": files.certificate, "key": files.key}


@pytest.fixture
def node(authority: dict[str, Path]) -> Iterator[Node]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority["certificate"], authority["key"])
    made = Node(context)
    yield made
    made.shutdown()
    made.server_close()


def ask(node: Node, ca_file: Path | str, **changes: Any) -> checks.ZoneResult:
    options: dict[str, Any] = {"paths": ["/health/ready"], "requests": 4, **changes}
    [result] = checks.ask(
        HOST,
        {"us-east-1a": "127.0.0.1"},
        options["paths"],
        options["requests"],
        ca_file=str(ca_file),
        port=node.server_address[1],
    )
    return result


def test_answers_are_counted_by_version_and_instance(node, authority):
    result = ask(node, authority["ca"], paths=["/health/ready", "/"])
    assert (result.answered, result.failures) == (4, [])
    assert result.versions == {"1.1.0": 4}
    assert result.hosts == {"ip-10-20-1-5": 4}
    assert node.asked == [(HOST, "/health/ready"), (HOST, "/")] * 2
    assert checks.complaint([result], "1.1.0", all_new=True) == ""
    assert "us-east-1a 4 answers (4 of 1.1.0)" in checks.sentence([result])


def test_error_status_is_a_failure(node, authority):
    node.status = 503
    result = ask(node, authority["ca"])
    assert result.answered == 0
    complaint = checks.complaint([result], "", all_new=False)
    assert complaint == "3 of 3 requests failed, the first: /health/ready through us-east-1a: HTTP 503"


def test_certificate_of_an_unknown_authority_is_a_failure(node):
    result = ask(node, "")
    assert len(result.failures) == checks.ENOUGH_FAILURES
    assert "CERTIFICATE_VERIFY_FAILED" in result.failures[0]


def test_nobody_there_is_a_failure(authority):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        [result] = checks.ask(
            HOST, {"us-east-1a": "127.0.0.1"}, ["/"], 1, ca_file=str(authority["ca"]), port=closed.getsockname()[1]
        )
    assert "refused" in result.failures[0]


def zone(**versions: int) -> checks.ZoneResult:
    named = {name.replace("v", "").replace("_", "."): count for name, count in versions.items()}
    return checks.ZoneResult("us-east-1a", "127.0.0.1", answered=sum(named.values()), versions=named)


@pytest.mark.parametrize(
    ("results", "all_new", "complaint"),
    [
        ([zone(v1_0=3, v1_1=1)], False, ""),
        ([zone(v1_0=4)], False, "no answer came from version 1.1, only from 1.0"),
        ([zone(v1_0=1, v1_1=3)], True, "answers still come from version 1.0"),
        ([zone(v1_1=2), zone(v1_0=1)], True, "answers still come from version 1.0"),
        ([], False, "no zone of the balancer could be asked"),
    ],
)
def test_a_check_wants_to_see_the_new_version(results, all_new, complaint):
    assert checks.complaint(results, "1.1", all_new=all_new) == complaint


def test_authority_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CheckopError, match=r"balancer_ca_file is .*nothing\.pem, which holds no certificates"):
        checks.ask(HOST, {"us-east-1a": "127.0.0.1"}, ["/"], 1, ca_file=str(tmp_path / "nothing.pem"))
