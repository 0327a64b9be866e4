import json


def test_a_fleet_instance_claims_one_address_and_keeps_it(host, aws, eventually):
    (me,) = aws.members()
    host.check_output("systemctl restart checkop-address")
    eventually("an address is claimed", lambda: me in aws.addresses().values())
    claimed = [address for address, holder in aws.addresses().items() if holder == me]
    assert len(claimed) == 1
    assert json.loads(host.check_output("checkop-host claim-address")) == {"address": claimed[0]}
    assert [address for address, holder in aws.addresses().items() if holder == me] == claimed
    assert claimed[0] in host.check_output("journalctl --unit checkop-address --output cat")


def test_it_claims_at_every_boot_and_holds_nothing_up(host):
    assert host.service("checkop-address").is_enabled
    assert "checkop-address" not in host.check_output("systemctl show --property=After,Requires,Wants checkop.service")
    # A boot has ended when this has begun, so that what cloud-init does last never waits for an address.
    assert host.check_output("systemctl show --property=Type --value checkop-address") == "simple"


def test_it_gives_its_address_back(host, aws):
    host.check_output("checkop-host claim-address")
    host.check_output("checkop-host release-address")
    assert set(aws.addresses().values()) == {""}
    assert json.loads(host.check_output("checkop-host release-address")) == {"released": []}
