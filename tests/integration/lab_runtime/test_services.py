"""Balancer, file system and database: zero lost requests when draining works, and lost ones when it does not."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
import pytest
from botocore.exceptions import ClientError

ZONES = ("us-east-1a", "us-east-1d")
# A request for /3 is answered after three seconds.
SITE = """#!/bin/bash
mkdir -p /srv/site && cd /srv/site
cat > site.py <<'PYTHON'
import http.server, socket, time
class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(int(self.path[1:] or 0))
        body = socket.gethostname().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", 80), Site).serve_forever()
PYTHON
systemd-run --unit checkop --working-directory /srv/site python3 site.py
"""


class Connection(http.client.HTTPSConnection):
    """HTTPS to checkop.co at the address of one of the balancer's nodes."""

    def __init__(self, address: str, context: ssl.SSLContext) -> None:
        super().__init__("checkop.co", timeout=10)
        self._address, self._tls = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, 443), 10)
        self.sock = self._tls.wrap_socket(plain, server_hostname="checkop.co")


@dataclass
class Load:
    """Clients that keep their connections and ask again and again, through every node, each for one of the paths."""

    nodes: list[str]
    context: ssl.SSLContext
    paths: tuple[str, ...]
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        for number in range(8):
            turn, node = divmod(number, len(self.nodes))
            asked = (self.nodes[node], self.paths[turn % len(self.paths)])
            # Not in step: whenever a target is taken away, somebody waits for its answer.
            thread = threading.Thread(target=self._ask, args=(number * 0.2, *asked))
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, delay_seconds: float, node: str, path: str) -> None:
        self._ending.wait(delay_seconds)
        connection = Connection(node, self.context)
        while not self._ending.wait(0.02):
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if answer.status == 200:
                self.answers[body] += 1
            else:
                self.failures.append(f"{answer.status} {body}")


@dataclass
class Site:
    """A load balancer in two zones with a listener for HTTPS and one that redirects."""

    cloud: Any
    elb: Any
    group: str
    load_balancer: str
    nodes: list[str]
    context: ssl.SSLContext

    def load(self, *paths: str) -> Load:
        return Load(self.nodes, self.context, paths or ("/", "/1"))

    def health(self, group: str | None = None) -> dict[str, str]:
        found = self.elb.describe_target_health(TargetGroupArn=group or self.group)["TargetHealthDescriptions"]
        return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}

    def register(self, *ids: str) -> None:
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[{"Id": one} for one in ids])

    def another_group(self) -> str:
        (like,) = self.elb.describe_target_groups(TargetGroupArns=[self.group])["TargetGroups"]
        kept = ("Protocol", "Port", "VpcId", "HealthCheckPath", "HealthCheckIntervalSeconds")
        chosen = {key: like[key] for key in (*kept, "HealthCheckTimeoutSeconds", "UnhealthyThresholdCount")}
        made = self.elb.create_target_group(Name=f"more-{time.monotonic_ns()}", **chosen)["TargetGroups"][0]
        return str(made["TargetGroupArn"])

    def share(self, weights: dict[str, int]) -> None:
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        listeners = self.elb.describe_listeners(LoadBalancerArn=self.load_balancer)["Listeners"]
        (secure,) = [one["ListenerArn"] for one in listeners if one["Port"] == 443]
        self.elb.modify_listener(ListenerArn=secure, DefaultActions=[forward])

    def deregister(self, *ids: str) -> None:
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=[{"Id": one} for one in ids])


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def site(cloud: Any, until: Callable[..., Any]) -> Iterator[Site]:
    elb, acm = cloud.lab.client("elbv2"), cloud.lab.client("acm")
    certificate = acm.import_certificate(
        Certificate=Path(cloud.exports["LAB_CERTIFICATE_FILE"]).read_bytes(),
        PrivateKey=Path(cloud.exports["LAB_CERTIFICATE_KEY_FILE"]).read_bytes(),
    )["CertificateArn"]
    vpc = cloud.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = elb.create_target_group(
        Name=f"site-{time.monotonic_ns()}",
        Protocol="HTTP",
        Port=80,
        VpcId=vpc,
        HealthCheckPath="/",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "10"}
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[delay])
    subnets = [cloud.subnets[zone] for zone in ZONES]
    balancer = elb.create_load_balancer(Name=f"site-{time.monotonic_ns()}", Subnets=subnets)["LoadBalancers"][0]
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    arn = balancer["LoadBalancerArn"]
    elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=[redirect])
    elb.create_listener(
        LoadBalancerArn=arn,
        Port=443,
        Protocol="HTTPS",
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    (shown,) = [one for one in cloud.lab.status()["balancers"] if one["dns_name"] == balancer["DNSName"]]
    context = ssl.create_default_context(cafile=cloud.exports["LAB_CA_FILE"])
    # As of a new load balancer on AWS, its nodes answer a moment after the API did.
    for address in shown["nodes"].values():
        until(lambda address=address: all(_accepts(address, port) for port in (80, 443)), f"{address} listens")
    yield Site(cloud, elb, group, arn, list(shown["nodes"].values()), context)
    used = elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]
    elb.delete_load_balancer(LoadBalancerArn=arn)
    for one in {group, *(used_one["TargetGroupArn"] for used_one in used)}:
        elb.delete_target_group(TargetGroupArn=one)


def test_no_request_is_lost_while_targets_change_and_some_are_when_draining_is_broken(
    cloud: Any, site: Site, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    ids = [launched(zone=zone, user_data=SITE)[0] for zone in ZONES]
    names = {one: cloud.describe(one)["PrivateDnsName"].split(".")[0] for one in ids}
    site.register(*ids)
    until(lambda: set(site.health().values()) == {"healthy"}, "both healthy")
    with site.load() as load:
        until(lambda: set(load.answers) == set(names.values()), "both answer")
        site.deregister(ids[0])
        until(lambda: site.health() == {ids[1]: "healthy"}, "drained")
        count = load.answers[names[ids[0]]]
        until(lambda: load.answers[names[ids[1]]] > 100, "the other answers")
        assert load.answers[names[ids[0]]] == count, "a drained target got requests"
        site.register(ids[0])
        until(lambda: set(site.health().values()) == {"healthy"}, "both healthy again")
        # A change of settings reloads HAProxy.
        site.elb.modify_load_balancer_attributes(
            LoadBalancerArn=site.load_balancer,
            Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "90"}],
        )
        until(lambda: load.answers[names[ids[0]]] > count + 50, "both answer again")
    assert load.failures == []
    cloud.lab.do("fault", "drain-broken")
    try:
        # Only slow requests: beside quick ones, all that are slow may happen to go to the target that stays.
        with site.load("/3") as load:
            until(lambda: len(load.answers) == 2, "both answer")
            site.deregister(ids[0])
            until(lambda: load.failures, "broken draining loses requests")
    finally:
        cloud.lab.do("fault", "drain-restore")


def test_requests_go_on_when_no_target_is_healthy_and_when_shares_move(
    cloud: Any, site: Site, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    one = launched(user_data=SITE)[0]
    site.register(one)
    until(lambda: site.health() == {one: "healthy"}, "healthy")
    other = site.another_group()
    site.elb.register_targets(TargetGroupArn=other, Targets=[{"Id": one}])
    with site.load() as load:
        site.share({site.group: 100, other: 0})
        site.share({site.group: 90, other: 10})
        until(lambda: site.health(other) == {one: "healthy"}, "healthy in the second group")
        site.share({site.group: 0, other: 100})
        site.elb.modify_target_group(TargetGroupArn=other, Matcher={"HttpCode": "418"})
        until(lambda: site.health(other) == {one: "unhealthy"}, "unhealthy")
        count = sum(load.answers.values())
        until(lambda: sum(load.answers.values()) > count + 50, "fails open")
    assert load.failures == []


def test_redirect_keeps_host_path_and_query(site: Site) -> None:
    connection = http.client.HTTPConnection(site.nodes[0], timeout=10)
    connection.request("GET", "/a/b?c=d&e", headers={"Host": "www.checkop.co"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://www.checkop.co:443/a/b?c=d&e")
    connection.close()


def test_cut_zone_is_unhealthy_and_its_node_refuses(
    cloud: Any, site: Site, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    ids = dict(zip(ZONES, [launched(zone=zone, user_data=SITE)[0] for zone in ZONES], strict=True))
    site.register(*ids.values())
    until(lambda: set(site.health().values()) == {"healthy"}, "both healthy")
    cloud.lab.do("fault", "cut-zone", "us-east-1d")
    try:
        until(lambda: site.health()[ids["us-east-1d"]] == "unhealthy", "cut target unhealthy")
        assert site.health()[ids["us-east-1a"]] == "healthy"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((site.nodes[1], 443), 5)
        status = cloud.ec2.describe_instance_status(InstanceIds=[ids["us-east-1d"]])["InstanceStatuses"][0]
        assert status["InstanceStatus"]["Status"] == "impaired"
    finally:
        cloud.lab.do("fault", "restore-zone", "us-east-1d")
    until(lambda: set(site.health().values()) == {"healthy"}, "both healthy again")
    site.deregister(*ids.values())


@pytest.fixture
def file_system(cloud: Any, until: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    efs = cloud.lab.client("efs")
    made = efs.create_file_system(CreationToken=f"t{time.monotonic_ns()}")["FileSystemId"]
    targets = [
        efs.create_mount_target(FileSystemId=made, SubnetId=cloud.subnets[zone])["MountTargetId"] for zone in ZONES
    ]
    point = efs.create_access_point(
        ClientToken=f"t{time.monotonic_ns()}",
        FileSystemId=made,
        PosixUser={"Uid": 5000, "Gid": 5000},
        RootDirectory={
            "Path": "/chop-temp",
            "CreationInfo": {"OwnerUid": 5000, "OwnerGid": 5000, "Permissions": "0755"},
        },
    )["AccessPointId"]
    yield made, point
    efs.delete_access_point(AccessPointId=point)
    for target in targets:
        efs.delete_mount_target(MountTargetId=target)
    efs.delete_file_system(FileSystemId=made)
    until(lambda: made not in [one["id"] for one in cloud.lab.status()["file_systems"]], "file system removed")


def test_file_system_is_shared_between_zones_fills_and_hangs(
    cloud: Any,
    file_system: tuple[str, str],
    launched: Callable[..., tuple[str, str]],
    until: Callable[..., Any],
) -> None:
    made, point = file_system
    one, other = (launched(zone=zone)[1] for zone in ZONES)
    mount = f"sudo mkdir -p /mnt/t && sudo mount -t efs -o tls,iam,accesspoint={point} {made}:/ /mnt/t"
    for address in (one, other):
        cloud.ssh(address, f"sudo dnf -q -y install amazon-efs-utils && {mount}")
    cloud.ssh(one, "echo shared | sudo tee /mnt/t/file")
    assert cloud.ssh(other, "cat /mnt/t/file; stat -c %u:%g /mnt/t/file").split() == ["shared", "5000:5000"]
    until(lambda: cloud.lab.status()["file_systems"][0]["bytes"] > 0, "metered")
    cloud.lab.do("fault", "full-file-system", made)
    assert "No space left" in cloud.ssh(other, "sudo dd if=/dev/zero of=/mnt/t/big bs=64k count=9 2>&1; true")
    cloud.lab.do("fault", "restore-file-system", made)
    cloud.ssh(other, "sudo dd if=/dev/zero of=/mnt/t/big bs=64k count=9 2>&1")
    cloud.lab.do("fault", "hang-file-system", made)
    try:
        assert cloud.ssh(other, "timeout -s KILL 2 ls -l /mnt/t >/dev/null 2>&1; echo $?").strip() == "137"
    finally:
        cloud.lab.do("fault", "restore-file-system", made)
    assert cloud.ssh(one, "ls /mnt/t").split() == ["big", "file"]


def test_database_wants_tls_and_the_password_of_the_api(
    cloud: Any, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    rds, name = cloud.lab.client("rds"), f"db{time.monotonic_ns()}"
    rds.create_db_parameter_group(DBParameterGroupName=name, DBParameterGroupFamily="mysql8.0", Description="t")
    required = {"ParameterName": "require_secure_transport", "ParameterValue": "1", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[required])
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        Engine="mysql",
        DBInstanceClass="db.r5.xlarge",
        AllocatedStorage=20,
        MasterUsername="checkop",
        MasterUserPassword="first-Password%'1",
        DBName="checkop",
        DBParameterGroupName=name,
    )

    def describe() -> Any:
        return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    until(lambda: describe()["DBInstanceStatus"] == "available", "available")
    endpoint = describe()["Endpoint"]

    def connects(password: str, user: str = "checkop", **options: Any) -> bool:
        try:
            pymysql.connect(
                host="127.0.0.1",
                port=endpoint["Port"],
                user=user,
                password=password,
                database="checkop",
                connect_timeout=5,
                **options,
            ).close()
        except pymysql.err.OperationalError:
            return False
        return True

    tls = {"ssl": {"ca": cloud.exports["LAB_CA_FILE"]}}
    assert connects("first-Password%'1", **tls)
    assert not connects("first-Password%'1")
    assert not connects("other", **tls)
    assert not connects("", user="root", **tls), "only this machine's root, over the socket, administers it"
    rds.modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword="second", ApplyImmediately=True)
    until(lambda: connects("second", **tls), "new password")
    _, address = launched()
    assert cloud.ssh(address, f"getent hosts {endpoint['Address']}").split()[0] == "10.0.2.2"
    cloud.lab.do("fault", "stop-database", name, "--seconds", "3")
    assert not connects("second", **tls)
    until(lambda: connects("second", **tls), "back by itself", 30)
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    until(lambda: cloud.lab.status()["databases"] == [], "database removed")


def test_throttled_api_says_so_and_recovers(cloud: Any) -> None:
    said = cloud.lab.do("fault", "api-fail", "--every", "1", "--service", "ec2", "--operation", "DescribeVpcs")
    assert "DescribeVpcs" in said
    assert cloud.lab.status()["faults"] == ["every 1. call of ec2 DescribeVpcs answers InternalError (0 so far)"]
    with pytest.raises(ClientError, match="InternalError"):
        cloud.ec2.describe_vpcs()
    cloud.lab.do("fault", "clear")
    assert cloud.lab.status()["faults"] == []
    assert cloud.ec2.describe_vpcs()["Vpcs"]
    refused = cloud.lab.command("fault", "api-throttle", "--every", "0")
    assert refused.returncode == 1
    assert "at least 1" in refused.stderr


def test_unknown_alarm_is_refused_with_the_known_ones(cloud: Any) -> None:
    done = cloud.lab.command("fault", "alarm", "no-such-alarm")
    assert done.returncode == 1
    assert "no alarm named no-such-alarm" in done.stderr
