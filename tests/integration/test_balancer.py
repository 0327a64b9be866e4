"""Progresus-ELB: read back with boto3 and compared with the operator's tables; certificates, drift, rerun."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Cloud, Playbook

PREREQUISITES = "network,perimeter,balancer"
BUCKET = "checkop-rehearsal-access-logs-123456789012"


@pytest.fixture(scope="module")
def made(fresh_cloud: Cloud, converge: Playbook) -> Cloud:
    """The network and the balancer."""
    converge("site", "--tags", PREREQUISITES)
    return fresh_cloud


def balancer(cloud: Cloud) -> dict[str, Any]:
    (found,) = cloud.client("elbv2").describe_load_balancers()["LoadBalancers"]
    return dict(found)


def target_group(cloud: Cloud) -> dict[str, Any]:
    (found,) = cloud.client("elbv2").describe_target_groups()["TargetGroups"]
    return dict(found)


def listeners(cloud: Cloud) -> dict[int, dict[str, Any]]:
    answer = cloud.client("elbv2").describe_listeners(LoadBalancerArn=balancer(cloud)["LoadBalancerArn"])
    return {listener["Port"]: dict(listener) for listener in answer["Listeners"]}


def attributes(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in pairs}


def test_check_from_nothing_makes_nothing(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("balancer", "--check", "--diff")
    assert recap.returncode == 0, recap.output
    assert recap.changed == 6
    for resource in (f"S3 bucket {BUCKET}", "ACM certificate checkop.co", "Listener 443"):
        assert f"after: {resource}\n" in recap.output
    assert cloud.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_the_balancer_is_as_the_operator_states(made: Cloud) -> None:
    found = balancer(made)
    assert found["LoadBalancerName"] == "Progresus-ELB"
    assert found["Type"] == "application"
    assert found["State"]["Code"] == "active"
    assert found["Scheme"] == "internet-facing"
    assert {zone["ZoneName"] for zone in found["AvailabilityZones"]} == {"us-east-1a", "us-east-1d"}
    subnets = [zone["SubnetId"] for zone in found["AvailabilityZones"]]
    cidrs = {item["CidrBlock"] for item in made.client("ec2").describe_subnets(SubnetIds=subnets)["Subnets"]}
    assert cidrs == {"10.20.1.0/24", "10.20.4.0/24"}
    groups = made.client("ec2").describe_security_groups(GroupIds=found["SecurityGroups"])["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["checkop-alb"]


def test_the_balancer_logs_and_is_protected(made: Cloud) -> None:
    answer = made.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer(made)["LoadBalancerArn"])
    found = attributes(answer["Attributes"])
    wanted = {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": BUCKET,
        "deletion_protection.enabled": "true",
        "idle_timeout.timeout_seconds": "120",
        "routing.http.drop_invalid_header_fields.enabled": "true",
    }
    assert {name: found.get(name) for name in wanted} == wanted


def test_port_80_redirects_and_443_ends_tls(made: Cloud) -> None:
    found = listeners(made)
    assert set(found) == {80, 443}
    redirect = found[80]["DefaultActions"][0]["RedirectConfig"]
    assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", "443", "HTTP_301")
    assert found[443]["Protocol"] == "HTTPS"
    assert found[443]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert found[443]["DefaultActions"][0]["TargetGroupArn"] == target_group(made)["TargetGroupArn"]
    arn = found[443]["Certificates"][0]["CertificateArn"]
    certificate = made.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    assert certificate["DomainName"] == "checkop.co"
    assert certificate["Type"] == "IMPORTED"


def test_the_target_group_asks_whether_the_process_serves(made: Cloud) -> None:
    group = target_group(made)
    assert (group["TargetGroupName"], group["Port"], group["Protocol"]) == ("AUTOChOp", 80, "HTTP")
    assert group["HealthCheckPath"] == "/health/live"
    assert group["Matcher"] == {"HttpCode": "200"}
    assert group["HealthCheckIntervalSeconds"] == 5
    answer = made.client("elbv2").describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])
    found = attributes(answer["Attributes"])
    assert found["deregistration_delay.timeout_seconds"] == "10"
    assert found["slow_start.duration_seconds"] == "0"


def test_the_bucket_is_private_and_written_by_elastic_load_balancing_only(made: Cloud) -> None:
    s3 = made.client("s3")
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert lifecycle["Expiration"]["Days"] == 90
    statements = {
        statement["Sid"]: statement
        for statement in json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    }
    assert statements["DenyWithoutTls"]["Effect"] == "Deny"
    writers = [statement for name, statement in statements.items() if name.startswith("Write")]
    assert {json.dumps(statement["Principal"]) for statement in writers} == {
        '{"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}',
        '{"AWS": "arn:aws:iam::127311923021:root"}',
    }
    for statement in writers:
        assert statement["Action"] == "s3:PutObject"
        assert statement["Resource"] == f"arn:aws:s3:::{BUCKET}/AWSLogs/123456789012/*"


def test_rollouts_find_it_in_ssm(made: Cloud) -> None:
    values = {
        parameter["Name"]: parameter["Value"]
        for parameter in made.client("ssm").get_parameters_by_path(Path="/checkop/rehearsal/balancer")["Parameters"]
    }
    assert values == {
        "/checkop/rehearsal/balancer/dns_name": balancer(made)["DNSName"],
        "/checkop/rehearsal/balancer/target_group_arn": target_group(made)["TargetGroupArn"],
    }


def test_drift_is_told_and_put_right_and_then_nothing_changes(made: Cloud, converge: Playbook) -> None:
    elbv2, s3 = made.client("elbv2"), made.client("s3")
    arn, group, before = balancer(made)["LoadBalancerArn"], target_group(made), listeners(made)
    forward = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    elbv2.modify_listener(ListenerArn=before[443]["ListenerArn"], SslPolicy="ELBSecurityPolicy-2016-08")
    elbv2.modify_listener(ListenerArn=before[80]["ListenerArn"], DefaultActions=forward)
    elbv2.create_listener(LoadBalancerArn=arn, Port=8080, Protocol="HTTP", DefaultActions=forward)
    elbv2.create_rule(
        ListenerArn=before[443]["ListenerArn"],
        Priority=7,
        Conditions=[{"Field": "path-pattern", "Values": ["/elsewhere*"]}],
        Actions=forward,
    )
    elbv2.modify_target_group(TargetGroupArn=group["TargetGroupArn"], HealthCheckPath="/")
    elbv2.modify_target_group_attributes(
        TargetGroupArn=group["TargetGroupArn"], Attributes=[{"Key": "slow_start.duration_seconds", "Value": "60"}]
    )
    elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
    )
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.delete_bucket_policy(Bucket=BUCKET)

    told = converge("balancer", "--check", "--diff").output
    for resource in (
        f"S3 bucket {BUCKET}: Policy",
        f"S3 bucket {BUCKET}: PublicAccessBlockConfiguration",
        "Target group AUTOChOp",
        "Target group AUTOChOp: Attributes",
        "Load balancer Progresus-ELB: Attributes",
        "Listener 80",
        "Listener 443",
        "Listener rule 7",
        "Listener 8080",
    ):
        assert f"before: {resource}\n" in told, told
    assert set(listeners(made)) == {80, 443, 8080}

    assert converge("balancer").changed == 5
    assert converge("balancer").changed == 0
    test_port_80_redirects_and_443_ends_tls(made)
    test_the_target_group_asks_whether_the_process_serves(made)
    test_the_balancer_logs_and_is_protected(made)
    test_the_bucket_is_private_and_written_by_elastic_load_balancing_only(made)


def test_slow_start_is_a_switch(made: Cloud, converge: Playbook) -> None:
    converge("balancer", extra_vars={"balancer_slow_start_seconds": 45})
    answer = made.client("elbv2").describe_target_group_attributes(TargetGroupArn=target_group(made)["TargetGroupArn"])
    assert attributes(answer["Attributes"])["slow_start.duration_seconds"] == "45"
    assert converge("balancer").changed == 1


def test_a_renewed_certificate_takes_the_old_ones_place(
    made: Cloud, converge: Playbook, make_certificate: Callable[[Path], tuple[Path, Path]], tmp_path: Path
) -> None:
    arn = listeners(made)[443]["Certificates"][0]["CertificateArn"]
    before = made.client("acm").get_certificate(CertificateArn=arn)["Certificate"]
    certificate, key = make_certificate(tmp_path)
    files = {"balancer_certificate_file": str(certificate), "balancer_certificate_key_file": str(key)}
    recap = converge("balancer", "-vvv", extra_vars=files)
    assert "PRIVATE KEY" not in recap.output
    assert recap.changed == 1
    assert listeners(made)[443]["Certificates"][0]["CertificateArn"] == arn
    assert made.client("acm").get_certificate(CertificateArn=arn)["Certificate"] != before
    assert converge("balancer", extra_vars=files).changed == 0


def test_a_missing_certificate_file_is_told(made: Cloud, playbook: Playbook) -> None:
    recap = playbook("balancer", extra_vars={"balancer_certificate_file": "/nowhere.pem"})
    assert recap.returncode == 2
    assert "balancer_certificate_file is '/nowhere.pem', which cannot be read" in recap.output


def test_a_certificate_for_other_names_is_refused_and_not_left_behind(made: Cloud, playbook: Playbook) -> None:
    before = made.client("acm").list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]
    recap = playbook(
        "balancer", extra_vars={"balancer_certificate_domains": ["checkop.example", "www.checkop.example"]}
    )
    assert recap.returncode == 2
    assert "but balancer_certificate_domains wants checkop.example, www.checkop.example" in recap.output
    after = made.client("acm").list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]
    assert len(after) == len(before) == 1


def test_a_rerun_finishes_what_a_failing_call_left_half_done(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    # The worst moment for a bucket: made, and not marked yet.
    cloud.fault(every=2, code="AccessDenied", status=403, service="s3", operation=f"PUT /{BUCKET}", times=1)
    failed = playbook("site", "--tags", PREREQUISITES)
    cloud.clear_faults()
    assert failed.returncode == 2
    assert f"S3 bucket {BUCKET}" in failed.output
    cloud.fault(
        every=1, code="TooManyListeners", status=400, service="elasticloadbalancing", operation="CreateListener"
    )
    failed = playbook("balancer")
    cloud.clear_faults()
    assert failed.returncode == 2
    assert "Listener 80" in failed.output
    again = playbook("balancer")
    assert again.returncode == 0, again.output
    assert set(listeners(cloud)) == {80, 443}
