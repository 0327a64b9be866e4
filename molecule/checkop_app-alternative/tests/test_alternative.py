import json
import time


def get(host, path, *options):
    return json.loads(host.check_output(f"curl -sf {' '.join(options)} http://127.0.0.1{path}"))


def status(host, path, *options):
    return host.check_output(f"curl -s -o /dev/null -w '%{{http_code}}' {' '.join(options)} http://127.0.0.1{path}")


def test_a_program_of_the_release_is_started_with_its_arguments(host):
    assert get(host, "/")["arguments"] == ["--colour", "dark blue"]
    assert host.check_output("readlink /opt/checkop/current") == "releases/2.0.0-rc1"


def test_the_environment_is_what_the_variables_say(host):
    seen = get(host, "/")["environment"]
    wanted = {
        "CHECKOP_VERSION": "2.0.0-rc1",
        "CHECKOP_PORT": "9000",
        "CHECKOP_ENVIRONMENT": "staging",
        "CHECKOP_LOG_LEVEL": "debug",
        "CHECKOP_STORAGE": "/srv/chop",
        "CHECKOP_DATABASE_CA_FILE": "/etc/pki/tls/cert.pem",
        "CHECKOP_THEME": "dark",
        "CHECKOP_PHOTOS": "true",
        "CHECKOP_DB": "dbprogressus.internal",
        "CHECKOP_DB_PASSWORD": 'se"cr$et\\',
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert "CHECKOP_DATABASE_HOST" not in seen


def test_a_stop_finishes_open_work(host, eventually):
    began = time.monotonic()
    answer = host.run(
        "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/slow/2 > /tmp/slow & sleep 0.5;"
        " systemctl stop checkop; wait; cat /tmp/slow"
    )
    try:
        assert answer.stdout == "200"
        assert time.monotonic() - began >= 2
    finally:
        host.check_output("systemctl start checkop")
        eventually("it answers again", lambda: status(host, "/") == "200")


def test_limits_of_time_and_size(host):
    assert status(host, "/slow/5") == "504"
    host.check_output("truncate --size 2M /tmp/large")
    assert status(host, "/", "-X POST", "--data-binary @/tmp/large") == "413"


def test_the_balancer_is_believed_about_the_client(host):
    identifier = host.check_output(
        "curl -s -o /dev/null -D - -H 'X-Forwarded-For: 203.0.113.9' -H 'X-Forwarded-Proto: https' http://127.0.0.1/"
        " | tr -d '\\r' | sed -n 's/^X-Request-ID: //p'"
    )
    assert json.loads(host.check_output(f"grep {identifier} /var/log/nginx/access.log"))["client"] == "203.0.113.9"
    assert get(host, "/", "-H 'X-Forwarded-Proto: https'")["forwarded"] == "https"


def test_the_unit_and_rotation_follow_the_variables(host):
    unit = host.check_output("systemctl show --property=TimeoutStopUSec,User,After checkop")
    assert "TimeoutStopUSec=10s" in unit
    assert "User=web" in unit
    assert "srv-chop.mount" in unit
    rotation = host.file("/etc/logrotate.d/checkop").content_string
    assert "rotate 3" in rotation
    assert "su web web" in rotation
    assert "keepalive_timeout 30s" in host.file("/etc/nginx/nginx.conf").content_string


def test_the_oldest_release_goes_when_there_are_three(host):
    pack = "tar -C /opt/checkop/releases/2.0.0-rc1 -czf /tmp/app-{0}.tar.gz --transform s,VERSION,V{0}, bin"
    for version in ("3.0.0", "3.1.0"):
        host.check_output(
            f"{pack}; checkop-host install-release --version {{0}} --archive /tmp/app-{{0}}.tar.gz"
            " --sha256 $(sha256sum /tmp/app-{0}.tar.gz | cut -d' ' -f1)".format(version)
        )
    assert host.check_output("ls /opt/checkop/releases").split() == ["3.0.0", "3.1.0"]
    assert host.check_output("readlink /opt/checkop/current") == "releases/3.1.0"
