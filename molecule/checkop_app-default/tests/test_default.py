import json

import pytest

CURRENT = "/opt/checkop/current"
WAS_READY = "/run/checkop/was-ready"
# Ready whatever is asked; the release itself never is, for want of a database.
READY = """
from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""


def status(host, path, *options):
    return host.check_output(f"curl -s -o /dev/null -w '%{{http_code}}' {' '.join(options)} http://127.0.0.1{path}")


def main_pid(host, unit):
    return host.check_output(f"systemctl show --property=MainPID {unit}").split("=")[1]


def test_it_answers_through_nginx_as_the_release_that_was_asked_for(host):
    head = host.check_output("curl -si http://127.0.0.1/").lower()
    assert head.startswith("http/1.1 200")
    assert "x-checkop-version: 1.0.0" in head
    assert "x-request-id: " in head
    assert "server: nginx\r" in head, "nginx does not tell its version"


def test_it_runs_unprivileged_and_cannot_gain_or_write(host):
    pid = main_pid(host, "checkop")
    status_of_process = host.check_output(f"cat /proc/{pid}/status")
    assert "Uid:\t5000\t5000\t5000\t5000" in status_of_process
    assert "CapBnd:\t0000000000000000" in status_of_process
    assert "NoNewPrivs:\t1" in status_of_process
    assert host.run(f"nsenter --mount --target {pid} touch /usr/written").rc != 0
    assert host.run(f"nsenter --mount --target {pid} ls /home/centos").rc != 0


def test_secrets_are_readable_for_the_application_alone(host):
    file = host.file("/etc/checkop/checkop.env")
    assert (file.user, file.group, file.mode) == ("root", "checkop", 0o640)
    assert 'CHECKOP_DATABASE_PASSWORD="se\\"cr\\$et\\\\"' in file.content_string
    seen = host.check_output(f"cat /proc/{main_pid(host, 'checkop')}/environ").split("\0")
    assert 'CHECKOP_DATABASE_PASSWORD=se"cr$et\\' in seen
    assert 'se"cr' not in host.check_output("ps -eo args; journalctl --no-pager --output cat")


def test_the_database_s_authorities_are_where_the_application_is_told(host):
    environment = host.file("/etc/checkop/checkop.env").content_string
    assert 'CHECKOP_DATABASE_CA_FILE="/etc/pki/tls/certs/database.pem"' in environment
    file = host.file("/etc/pki/tls/certs/database.pem")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    assert file.content_string.startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(("unit", "signal"), [("checkop", "KILL"), ("nginx", "KILL")])
def test_what_dies_comes_back(host, eventually, unit, signal):
    before = main_pid(host, unit)
    host.check_output(f"kill -{signal} {before}")
    eventually(f"{unit} runs again", lambda: main_pid(host, unit) not in ("0", before))
    eventually("it answers", lambda: status(host, "/") == "200")


def test_readiness_goes_while_the_instance_drains_and_life_stays(host):
    host.check_output(f"touch {WAS_READY} /run/checkop/draining")
    try:
        assert host.check_output("curl -s http://127.0.0.1/health/ready") == "draining"
        assert status(host, "/health/ready") == "503"
        assert status(host, "/health/live") == "200"
    finally:
        host.check_output(f"rm {WAS_READY} /run/checkop/draining")


def test_life_begins_with_readiness_and_lasts_while_the_process_serves(host, eventually):
    assert status(host, "/health/live") == "503"
    assert host.check_output("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/health/live") == "200"
    try:
        host.check_output(f"systemctl stop checkop; systemd-run --unit=ready /usr/bin/python2.7 -c '{READY}'")
        eventually("it was ready", lambda: status(host, "/health/live") == "200")
        host.check_output("systemctl stop ready; systemctl start checkop")
        eventually("the release answers", lambda: status(host, "/health/ready") == "503")
        assert status(host, "/health/live") == "200"
        log = "journalctl --no-pager --output cat --identifier checkop-readiness"
        complaint = "CheckOP is no longer ready: /health/ready answers 503"
        eventually("the log says so", lambda: complaint in host.check_output(log))
        host.check_output("systemctl stop checkop")
        assert status(host, "/health/live") == "502"
    finally:
        host.run(f"systemctl stop ready; systemctl start checkop; rm {WAS_READY}; systemctl restart checkop-readiness")
        eventually("the release answers again", lambda: status(host, "/") == "200")


def test_every_request_has_an_id_in_the_log_of_nginx(host):
    answer = host.check_output("curl -si -H 'X-Amzn-Trace-Id: Root=1-abc' 'http://127.0.0.1/?a=\"b'").splitlines()
    (identifier,) = [line.split()[1] for line in answer if line.lower().startswith("x-request-id")]
    logged = json.loads(host.check_output(f"grep {identifier} /var/log/nginx/access.log"))
    assert logged["status"] == 200
    assert logged["uri"] == '/?a="b'
    assert logged["trace_id"] == "Root=1-abc"
    assert logged["seconds"] >= 0


def test_health_checks_do_not_fill_the_log(host):
    status(host, "/health/live")
    assert host.run("grep -c health /var/log/nginx/access.log").stdout.strip() == "0"


def test_logs_are_kept_by_level_and_rotated(host, eventually):
    for level in ("debug", "info", "warning", "error"):
        assert host.file(f"/var/log/checkop/{level}.log").exists, level
    status(host, "/nowhere")
    host.check_output("logrotate --force /etc/logrotate.d/checkop")
    status(host, "/nowhere")
    eventually("the new log is written", lambda: "nowhere" in host.file("/var/log/checkop/debug.log").content_string)
    fresh = host.file("/var/log/checkop/debug.log")
    assert (fresh.user, fresh.mode) == ("checkop", 0o640)


def test_uploads_have_a_limit(host):
    host.check_output("truncate --size 65M /tmp/large")
    assert status(host, "/api/uploads", "-X POST", "--data-binary @/tmp/large") == "413"
    host.check_output("rm /tmp/large")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        ("echo other > {0}", "has sha256"),
        ("echo other > {0}; sum=$(sha256sum {0} | cut -d' ' -f1)", "not a tar archive"),
        ("tar -C /etc -czf {0} hosts; sum=$(sha256sum {0} | cut -d' ' -f1)", "no module checkop_app in the archive"),
        ("tar -P -C /etc -czf {0} ../etc/hosts; sum=$(sha256sum {0} | cut -d' ' -f1)", "leads out of the release"),
    ],
)
def test_a_bad_archive_leaves_the_host_as_before(host, make, complaint):
    before = host.check_output(f"readlink {CURRENT}; ls -a /opt/checkop/releases")
    install = "checkop-host install-release --version 6.6.6 --archive {0} --sha256 $sum"
    answer = host.run(f"sum={'0' * 64}; {make}; {install}".format("/root/bad.tar.gz"))
    assert answer.rc == 2
    assert complaint in answer.stderr
    assert host.check_output(f"readlink {CURRENT}; ls -a /opt/checkop/releases") == before
    assert status(host, "/") == "200"


def test_a_full_disk_leaves_the_host_as_before(host):
    before = host.check_output(f"readlink {CURRENT}; ls -a /opt/checkop/releases")
    answer = host.run(
        "set -e; mkdir -p /tmp/full/checkop_app; echo > /tmp/full/checkop_app/__main__.py;"
        " tar -C /tmp/full -czf /tmp/full.tar.gz .; sum=$(sha256sum /tmp/full.tar.gz | cut -d' ' -f1);"
        ' unshare --mount sh -c "mount -t tmpfs -o size=1M none /opt/checkop/releases &&'
        ' checkop-host install-release --version 6.6.7 --archive /tmp/full.tar.gz --sha256 $sum"'
    )
    assert answer.rc == 1
    assert "no space left" in answer.stderr
    assert host.check_output(f"readlink {CURRENT}; ls -a /opt/checkop/releases") == before


def test_it_starts_in_order_at_boot_and_waits_for_no_mount(host):
    shown = host.check_output("systemctl show --property=After,Wants,Requires checkop")
    properties = dict(line.split("=", 1) for line in shown.splitlines())
    assert "checkop-configure.service" in properties["After"]
    assert "x2dtemp.mount" in properties["After"]
    assert "checkop-configure.service" in properties["Wants"]
    assert "chop" not in properties["Requires"]
    assert "checkop.service" in host.check_output("systemctl show --property=After nginx")
    assert host.service("checkop").is_enabled
    assert host.service("nginx").is_enabled
    assert host.service("checkop-readiness").is_enabled
