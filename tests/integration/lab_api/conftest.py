"""One served rehearsal API per test, over a runtime without processes and a clock that the test moves."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.api import Cloud, Immediate, Settings

GROUP = {"AutoScalingGroupName": "AUTOChOp"}
# One session for all tests: it reads the services' models once.
SESSION = boto3.Session("AKIAREHEARSALREHEARS", "secret", region_name="us-east-1")


class World:
    """A cloud with a clock, clients by service name, and what a group needs."""

    def __init__(self):
        self.time = 1_700_000_000.0
        self.hooks = Immediate()
        self.cloud = Cloud(self.hooks, clock=lambda: self.time, settings=Settings(refresh_patience=120))
        self.cloud.start("127.0.0.1", 0)
        self._clients = {}

    def __getattr__(self, name):
        return self.client(name)

    def client(self, name, **config):
        key = (name, repr(sorted(config.items())))
        if key not in self._clients:
            settings = Config(**{"retries": {"total_max_attempts": 1}, **config})
            endpoint = f"http://127.0.0.1:{self.cloud.port}"
            self._clients[key] = SESSION.client(name, endpoint_url=endpoint, config=settings)
        return self._clients[key]

    def forget_clients(self):
        self._clients.clear()

    def tick(self, seconds=0.0, times=1):
        for _ in range(times):
            self.time += seconds
            self.cloud.tick()

    def until(self, what, seconds=1.0, limit=400):
        """Move the clock on until something is true; fail when it never is."""
        for _ in range(limit):
            if what():
                return
            self.tick(seconds)
        raise AssertionError(f"still not true after {limit} ticks")

    # The usual environment.

    def source_image(self):
        images = self.ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"]
        return images[0]["ImageId"]

    def network(self):
        vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        subnets = {
            zone: self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for zone, cidr in (("us-east-1a", "10.20.1.0/24"), ("us-east-1d", "10.20.4.0/24"))
        }
        group = self.ec2.create_security_group(GroupName="app", Description="app", VpcId=vpc)["GroupId"]
        return SimpleNamespace(vpc=vpc, subnets=subnets, security_group=group)

    def template(self, network, name="AUTOChOp"):
        data = {
            "ImageId": self.source_image(),
            "InstanceType": "t3.xlarge",
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50, "VolumeType": "gp3", "Encrypted": True}}
            ],
            "NetworkInterfaces": [
                {"DeviceIndex": 0, "AssociatePublicIpAddress": True, "Groups": [network.security_group]}
            ],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
        }
        created = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        self.ec2.create_launch_template_version(
            LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
        )
        return created["LaunchTemplate"]["LaunchTemplateId"]

    def balancer(self, network):
        balancer = self.elbv2.create_load_balancer(Name="Progresus-ELB", Subnets=list(network.subnets.values()))
        arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        group = self.elbv2.create_target_group(Name="AUTOChOp", Protocol="HTTP", Port=80, VpcId=network.vpc)
        target_group = group["TargetGroups"][0]["TargetGroupArn"]
        self.elbv2.modify_target_group_attributes(
            TargetGroupArn=target_group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}],
        )
        listener = self.elbv2.create_listener(
            LoadBalancerArn=arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
        return SimpleNamespace(arn=arn, target_group=target_group, listener=listener["Listeners"][0]["ListenerArn"])

    def fleet(self, **options):
        network = self.network()
        balancer = self.balancer(network)
        template = self.template(network)
        values = {
            "AutoScalingGroupName": "AUTOChOp",
            "MinSize": 2,
            "MaxSize": 4,
            "LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"},
            "VPCZoneIdentifier": ",".join(network.subnets.values()),
            "TargetGroupARNs": [balancer.target_group],
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 30,
            "DefaultInstanceWarmup": 0,
            **options,
        }
        self.autoscaling.create_auto_scaling_group(**values)
        self.tick(times=2)
        return SimpleNamespace(network=network, balancer=balancer, template=template)

    def group(self):
        return self.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]

    def members(self, state=None):
        found = self.group()["Instances"]
        return [m for m in found if state in (None, m["LifecycleState"])]

    def health(self, target_group):
        answer = self.elbv2.describe_target_health(TargetGroupArn=target_group)
        return {t["Target"]["Id"]: t["TargetHealth"]["State"] for t in answer["TargetHealthDescriptions"]}

    def refresh(self):
        return self.autoscaling.describe_instance_refreshes(**GROUP)["InstanceRefreshes"][0]

    def start_refresh(self, template, version="2", **preferences):
        values = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150, **preferences}
        desired = {"LaunchTemplate": {"LaunchTemplateId": template, "Version": version}}
        return self.autoscaling.start_instance_refresh(**GROUP, DesiredConfiguration=desired, Preferences=values)[
            "InstanceRefreshId"
        ]


@pytest.fixture(scope="session")
def certificate():
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "checkop.co")])
    now = datetime.now(tz=timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


@pytest.fixture
def world():
    made = World()
    yield made
    made.cloud.stop()
