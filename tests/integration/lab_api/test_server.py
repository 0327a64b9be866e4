"""The server: faults, the changed event, many clients at once, ports, unknown operations."""

import http.client
import logging
import socket
import threading
import time

import pytest
from botocore.exceptions import ClientError

from lab.api import Cloud, Immediate


def test_every_nth_call_is_throttled_and_the_sdks_retries_get_through(world):
    rule = world.cloud.faults.api(every=2, service="autoscaling")
    codes = []
    for _ in range(4):
        try:
            world.autoscaling.describe_auto_scaling_groups()
            codes.append("ok")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert codes == ["ok", "Throttling", "ok", "Throttling"]
    assert (rule.seen, rule.failed) == (4, 2)
    world.ec2.describe_instances()
    patient = world.client("autoscaling", retries={"mode": "standard", "total_max_attempts": 5})
    for _ in range(3):
        patient.describe_auto_scaling_groups()
    world.cloud.faults.clear()
    assert world.cloud.faults.describe() == []


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("ec2", "describe_instances", "RequestLimitExceeded"),
        ("ssm", "describe_parameters", "ThrottlingException"),
        ("efs", "describe_file_systems", "ThrottlingException"),
        ("s3", "list_buckets", "SlowDown"),
        ("route53", "list_hosted_zones", "Throttling"),
        ("rds", "describe_db_instances", "Throttling"),
        ("elbv2", "describe_load_balancers", "Throttling"),
        ("cloudwatch", "describe_alarms", "Throttling"),
        ("secretsmanager", "list_secrets", "ThrottlingException"),
    ],
)
def test_each_service_throttles_in_its_own_words(world, service, call, code):
    world.cloud.faults.api(every=1)
    with pytest.raises(ClientError) as caught:
        getattr(world.client(service), call)()
    assert caught.value.response["Error"]["Code"] == code


def test_one_operation_fails_a_given_number_of_times_and_changes_nothing(world):
    world.cloud.faults.api(every=1, code="InternalError", operation="CreateVpc", times=1)
    with pytest.raises(ClientError, match="InternalError"):
        world.ec2.create_vpc(CidrBlock="10.9.0.0/16")
    before = len(world.ec2.describe_vpcs()["Vpcs"])
    world.ec2.create_vpc(CidrBlock="10.9.0.0/16")
    assert len(world.ec2.describe_vpcs()["Vpcs"]) == before + 1


def test_a_rule_that_would_never_fail_a_call_is_refused(world):
    with pytest.raises(ValueError, match="at least 1"):
        world.cloud.faults.api(every=0)


def test_setting_an_alarm_that_is_not_there_names_those_that_are(world):
    with pytest.raises(KeyError, match="no alarm named nothing; there are: none"):
        world.cloud.set_alarm("nothing", "ALARM")


def test_changed_is_set_by_what_may_change_something_only(world):
    world.cloud.changed.clear()
    world.ec2.describe_instances()
    world.ssm.get_parameters_by_path(Path="/x")
    world.s3.list_buckets()
    assert not world.cloud.changed.is_set()
    world.ssm.put_parameter(Name="/x/y", Value="1", Type="String")
    assert world.cloud.changed.is_set()
    world.cloud.changed.clear()
    world.s3.create_bucket(Bucket="logs")
    assert world.cloud.changed.is_set()


def test_connections_stay_open(world):
    connection = http.client.HTTPConnection("127.0.0.1", world.cloud.port)
    ports = set()
    for _ in range(3):
        connection.request("GET", "/moto-api/")
        connection.getresponse().read()
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1


def test_objects_of_some_size_and_head_requests(world):
    world.s3.create_bucket(Bucket="archives")
    body = bytes(range(256)) * 8192
    world.s3.put_object(Bucket="archives", Key="a b/c.tar.gz", Body=body)
    assert world.s3.head_object(Bucket="archives", Key="a b/c.tar.gz")["ContentLength"] == len(body)
    assert world.s3.get_object(Bucket="archives", Key="a b/c.tar.gz")["Body"].read() == body
    world.s3.delete_object(Bucket="archives", Key="a b/c.tar.gz")


def test_many_clients_at_once(world):
    failures = []

    def work(number):
        client = world.client("ssm", user_agent_extra=str(number))
        try:
            for turn in range(10):
                client.put_parameter(Name=f"/p/{number}/{turn}", Value="v", Type="String")
        except ClientError as error:
            failures.append(error)

    clients = [world.client("ssm", user_agent_extra=str(n)) for n in range(8)]
    assert clients
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pages = world.ssm.get_paginator("get_parameters_by_path").paginate(Path="/p", Recursive=True)
    assert sum(len(page["Parameters"]) for page in pages) == 80
    assert failures == []


def test_a_slow_client_holds_nobody_up(world):
    with socket.create_connection(("127.0.0.1", world.cloud.port)) as slow:
        slow.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
        begun = time.monotonic()
        world.ec2.describe_instances()
        assert time.monotonic() - begun < 5


def test_an_operation_that_nobody_knows_is_named(world, caplog):
    with (
        caplog.at_level(logging.WARNING, logger="lab.api"),
        pytest.raises(ClientError, match="does not know") as caught,
    ):
        world.autoscaling.put_notification_configuration(
            AutoScalingGroupName="x", TopicARN="arn:aws:sns:us-east-1:123456789012:t", NotificationTypes=["x"]
        )
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert "PutNotificationConfiguration" in caplog.text


def test_only_one_cloud_per_process(world):
    with pytest.raises(RuntimeError, match="already runs"):
        Cloud(Immediate())


def test_a_new_cloud_knows_nothing_of_the_one_before(world):
    world.s3.create_bucket(Bucket="logs")
    world.network()
    world.cloud.stop()
    world.cloud = Cloud(world.hooks, clock=lambda: world.time)
    world.cloud.start()
    world.forget_clients()
    assert world.s3.list_buckets()["Buckets"] == []
    assert len(world.ec2.describe_vpcs()["Vpcs"]) == 1
    world.s3.create_bucket(Bucket="logs")


def test_a_port_in_use_is_an_error_and_a_stopped_cloud_gives_its_port_back(world):
    port = world.cloud.port
    world.cloud.stop()
    with socket.create_server(("127.0.0.1", port)):
        other = Cloud(Immediate())
        with pytest.raises(OSError, match="in use"):
            other.start("127.0.0.1", port)
        other.stop()
    third = Cloud(Immediate())
    third.start("127.0.0.1", port)
    assert third.instances() == []
    third.stop()
