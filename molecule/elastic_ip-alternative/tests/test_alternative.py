import json

import pytest

DROP_IN = "/run/systemd/system/checkop-address.service.d"


def test_an_instance_of_no_such_group_claims_nothing(host, aws):
    assert json.loads(host.check_output("checkop-host claim-address")) == {"address": None}
    assert set(aws.addresses().values()) == {""}


def test_a_pool_without_addresses_is_an_error_that_names_it(host):
    host.check_output('sed \'s/"reserve"/"autochop"/\' /etc/checkop/conf.d/address.json > /root/address.json')
    host.check_output("mkdir -p /root/conf.d && mv /root/address.json /root/conf.d/")
    try:
        answer = host.run("checkop-host --role-folder /root/conf.d claim-address")
        assert answer.rc == 1
        assert "all 0 with tags" in answer.stderr
        assert "another" in answer.stderr
        assert answer.stderr.count("attempt ") == 2
    finally:
        host.check_output("rm -r /root/conf.d")


def test_patience(host):
    assert "claim-address --wait 20" in host.check_output("systemctl cat checkop-address")


@pytest.fixture
def claims(host):
    """Return where a line is written for each claim; all fail, and follow each other sooner than in earnest."""
    path = "/root/claims"
    unit = f"[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo claim >> {path}; exit 1'\nRestartSec=100ms\n"
    host.check_output(f"mkdir -p {DROP_IN} && printf '%s' \"{unit}\" > {DROP_IN}/test.conf && systemctl daemon-reload")
    yield path
    host.check_output(f"systemctl stop checkop-address; rm -rf {DROP_IN} {path}; systemctl daemon-reload")


def test_a_claim_that_found_no_free_address_is_repeated_without_end(host, claims, eventually):
    host.check_output("systemctl restart checkop-address")
    # systemd's own limit is five starts in ten seconds.
    eventually("it claims and claims", lambda: host.file(claims).content_string.count("claim") > 8)


def test_it_pauses_between_claims(host):
    assert host.check_output("systemctl show --property=RestartUSec checkop-address") == "RestartUSec=30s"
