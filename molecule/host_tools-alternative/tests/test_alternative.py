import json


def test_settings(host):
    settings = json.loads(host.file("/etc/checkop/host.json").content_string)
    assert settings["ssm_prefix"] == "/checkop/other"
    assert settings["region"] == "eu-west-1"
    assert settings["endpoint_url"] == "http://127.0.0.1:9"


def test_user(host):
    assert (host.user("tool").uid, host.user("tool").gid) == (6000, 6000)
    assert not host.user("checkop").exists


def test_patience(host):
    assert "--wait 30" in host.check_output("systemctl cat checkop-configure")
