"""Which zone the next instance goes to, and which instance leaves first."""

from lab.api.autoscaling.model import Activity, Member
from lab.api.autoscaling.placement import imbalance, leaves_first, next_zone

ZONES = ["a", "d"]


def member(name, zone, launched=0.0, version="1", **options):
    template = {"LaunchTemplateId": "lt-1", "Version": version}
    values = {"instance_type": "t3.xlarge", "image_id": "ami-1", "subnet_id": "subnet-1"}
    made = Member(
        name,
        values["instance_type"],
        values["image_id"],
        zone,
        values["subnet_id"],
        template,
        launched,
        Activity("g", "", "", 0),
    )
    for key, value in options.items():
        setattr(made, key, value)
    return made


def first(members, policies=("Default",), preferred=(), configuration="lt-1:1"):
    chosen = leaves_first(members, ZONES, policies, configuration, preferred)
    return chosen.instance_id if chosen else None


def test_the_emptiest_zone_gets_the_next_instance():
    assert next_zone(ZONES, []) == "a"
    assert next_zone(ZONES, [member("1", "a")]) == "d"
    assert next_zone(ZONES, [member("1", "a"), member("2", "d", lifecycle_state="Terminating")]) == "d"


def test_what_a_refresh_replaces_does_not_count():
    members = [member("old-a", "a"), member("old-d", "d"), member("new-a", "a")]
    assert next_zone(ZONES, members[:1] + members[2:], outdated=("old-a", "old-d")) == "d"
    assert next_zone(ZONES, members, outdated=("old-a", "old-d")) == "d"


def test_two_more_in_one_zone_is_uneven_and_one_more_is_not():
    assert not imbalance(ZONES, [member("1", "a")])
    assert not imbalance(ZONES, [member("1", "a"), member("2", "a"), member("3", "d")])
    assert imbalance(ZONES, [member("1", "a"), member("2", "a")])
    assert imbalance(ZONES, [member("1", "b"), member("2", "a")])


def test_the_fullest_zone_loses_one_first():
    assert first([member("1", "a", 1), member("2", "d", 2), member("3", "d", 3)]) == "2"


def test_an_instance_outside_of_the_zones_goes_before_that():
    assert first([member("1", "a"), member("2", "a"), member("3", "b")]) == "3"


def test_policies_choose_among_those_of_the_fullest_zone():
    members = [member("1", "a", 1, "2"), member("2", "a", 2, "1"), member("3", "a", 3, "3")]
    assert first(members, ["OldestInstance"]) == "1"
    assert first(members, ["NewestInstance"]) == "3"
    assert first(members, ["OldestLaunchTemplate"]) == "2"


def test_by_default_what_is_not_of_the_groups_configuration_goes():
    assert first([member("1", "a", 1, "1"), member("2", "a", 2, "2")], configuration="lt-1:1") == "2"


def test_protected_instances_stay_and_preferred_and_unhealthy_ones_go_first():
    members = [member("1", "a", 1), member("2", "a", 2), member("3", "d", 3)]
    assert first([member("1", "a", protected=True)]) is None
    assert first([member("1", "a", protected=True), member("2", "a", 2)]) == "2"
    assert first(members, preferred=("3",)) == "3"
    members[2].health = "Unhealthy"
    assert first(members) == "3"
