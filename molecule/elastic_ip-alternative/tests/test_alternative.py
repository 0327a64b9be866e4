import json


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
