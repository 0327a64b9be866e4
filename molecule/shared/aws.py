"""An AWS for one scenario: the rehearsal's API, and the metadata of the instance that the scenario's container plays.

`python molecule/shared/aws.py CONTAINER STATE_FILE` returns once it serves, and leaves a process behind that ends with
the container. The state file tells where: `endpoint_url` and `metadata_endpoint` as the container reaches them,
`api_url` as this machine does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3

from lab import metadata
from lab.api.cloud import Cloud
from lab.api.immediate import Immediate

ENVIRONMENT = "molecule"
PREFIX = f"/checkop/{ENVIRONMENT}"
TAGS = {"checkop:environment": ENVIRONMENT, "checkop:group": "autochop"}
ACCOUNT, REGION = "123456789012", "us-east-1"
CREDENTIALS = ("rehearsal", "rehearsal")
START_SECONDS = 60
# This machine as a container with slirp4netns sees it.
HOST_FROM_INSIDE = "10.0.2.2"


def publish(client: Any) -> str:
    """Make what a host asks for: parameters, a secret, addresses, a group of one; return the instance's id."""
    secret = client("secretsmanager").create_secret(
        Name=f"checkop/{ENVIRONMENT}/database",
        SecretString=json.dumps({"username": "checkop", "password": 'se"cr$et\\'}),
    )
    values = {
        "database/endpoint": "dbprogressus.internal",
        "database/port": "3306",
        "database/schema": "checkop",
        "database/secret_arn": secret["ARN"],
        "file_system/id": "fs-0123456789abcdef0",
        "file_system/access_point_id": "fsap-0123456789abcdef0",
    }
    for name, value in values.items():
        client("ssm").put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type="String")

    ec2 = client("ec2")
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    for _ in range(2):
        ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
    network = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.20.1.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]
    image = ec2.register_image(
        Name="molecule",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
    )["ImageId"]
    client("iam").create_instance_profile(InstanceProfileName="checkop-host")
    ec2.create_launch_template(
        LaunchTemplateName="AUTOChOp",
        LaunchTemplateData={
            "ImageId": image,
            "InstanceType": "t3.xlarge",
            "IamInstanceProfile": {"Name": "checkop-host"},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}],
        },
    )
    autoscaling = client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="AUTOChOp",
        LaunchTemplate={"LaunchTemplateName": "AUTOChOp", "Version": "1"},
        MinSize=0,
        DesiredCapacity=1,
        MaxSize=1,
        VPCZoneIdentifier=subnet["SubnetId"],
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": "drain",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "HeartbeatTimeout": 600,
            }
        ],
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for instance in autoscaling.describe_auto_scaling_instances()["AutoScalingInstances"]:
            if instance["LifecycleState"] == "InService":
                return str(instance["InstanceId"])
        time.sleep(0.1)
    raise TimeoutError("the group's instance is not in service")


def keep_moving(cloud: Cloud) -> None:
    """Let groups and hooks move on, soon after every change."""
    while True:
        cloud.changed.wait(1.0)
        cloud.changed.clear()
        with cloud.lock():
            cloud.tick()


def serve(container: str, state_file: Path) -> None:
    """Serve until the container is gone."""
    os.environ.update(AWS_ACCESS_KEY_ID=CREDENTIALS[0], AWS_SECRET_ACCESS_KEY=CREDENTIALS[1], AWS_DEFAULT_REGION=REGION)
    cloud = Cloud(Immediate())
    cloud.start()
    threading.Thread(target=keep_moving, args=(cloud,), daemon=True).start()
    api_url = f"http://127.0.0.1:{cloud.port}"
    instance_id = publish(lambda service: boto3.client(service, endpoint_url=api_url))

    def latest(_asked: str) -> dict[str, Any] | None:
        """Let the container play whichever instance the group has: a test may end one and have the next."""
        playing = [instance for instance in cloud.instances() if instance.state in ("pending", "running")]
        if not playing:
            return None
        return metadata.tree(playing[-1], account=ACCOUNT, region=REGION, credentials=CREDENTIALS)

    port = metadata.MetadataService(latest).listen(instance_id)
    state = {
        "endpoint_url": f"http://{HOST_FROM_INSIDE}:{cloud.port}",
        "metadata_endpoint": f"http://{HOST_FROM_INSIDE}:{port}",
        "api_url": api_url,
    }
    draft = state_file.with_suffix(".new")
    draft.write_text(json.dumps(state), encoding="utf-8")
    draft.rename(state_file)
    subprocess.run(["podman", "wait", container], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    os._exit(0)  # The API's threads have nothing to finish.


def start(container: str, state_file: Path) -> int:
    """Leave a serving process behind and return when it serves."""
    state_file.parent.mkdir(parents=True, exist_ok=True)
    state_file.unlink(missing_ok=True)
    with state_file.with_suffix(".log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, __file__, "--serve", container, str(state_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not state_file.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            print(f"AWS of {container} does not serve, see {log.name}", file=sys.stderr)
            return 1
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "--serve":
        serve(words[1], Path(words[2]))
    sys.exit(start(words[0], Path(words[1])))
