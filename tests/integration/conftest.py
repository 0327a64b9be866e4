"""A local AWS per worker, and a runner of the project's playbooks against it.

Every worker has its own server on a free port, so that integration tests run side by side.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from checkop.aws import Clients
from checkop.bake.template import search_path

REPOSITORY = Path(__file__).parents[2]
REGION = "us-east-1"
TIMEOUT_SECONDS = 300
RECAP_LINE = re.compile(r"^localhost\s*:\s*(?P<counts>(?:\w+=\d+\s*)+)$", re.MULTILINE)


@dataclass(frozen=True)
class Recap:
    """What one run of a playbook ended with: the counts for localhost, and all that was printed."""

    returncode: int
    output: str
    counts: Mapping[str, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> int:
        """Give a count by its name in Ansible's recap: ok, changed, failed, unreachable, skipped."""
        try:
            return self.counts[name]
        except KeyError:
            raise AttributeError(name) from None


Playbook = Callable[..., Recap]


@dataclass(frozen=True)
class Cloud:
    """The local AWS: where it answers, the environment that leads to it, and clients for reading it back."""

    endpoint: str
    environment: Mapping[str, str]
    process: subprocess.Popen[str]

    def client(self, service: str) -> Any:
        """Make a plain boto3 client of a service."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="rehearsal",
            aws_secret_access_key="rehearsal",
        )

    def reset(self) -> None:
        """Forget everything but what AWS always has, the vendor's CentOS 7 image among it."""
        self.do("reset")

    def fault(self, **rule: Any) -> None:
        """Let calls fail as `lab.api.faults.Faults.api` says: every, code, service, operation, times."""
        self.do("fault", **rule)

    def clear_faults(self) -> None:
        """Let all calls succeed again."""
        self.do("clear_faults")

    def do(self, name: str, **arguments: Any) -> None:
        """Have the server process do something, and wait until it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
        self.process.stdin.flush()
        assert json.loads(self.process.stdout.readline())["done"] == name


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for checkop.co and its key as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "checkop.co")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("checkop.co"), x509.DNSName("*.checkop.co")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "certificate.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def write_public_key(folder: Path) -> Path:
    """Write the OpenSSH public key of a new key pair."""
    key = ed25519.Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path = folder / "id_ed25519.pub"
    path.write_bytes(line + b" integration\n")
    return path


@contextmanager
def local_aws(folder: Path) -> Iterator[Cloud]:
    """Start a local AWS that ends with the block.

    Parameters
    ----------
    folder:
        For the keys and certificates that the rehearsal's inventory asks for, and for Ansible's own files.
    """
    certificate_file, key_file = write_certificate(folder)
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("local_aws.py"))],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    endpoint = f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_", "LAB_"))}
    environment = kept | {
        "PATH": search_path(),
        "HOME": str(folder),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "LAB_SSH_PUBLIC_KEY_FILE": str(write_public_key(folder)),
        "LAB_CERTIFICATE_FILE": str(certificate_file),
        "LAB_CERTIFICATE_KEY_FILE": str(key_file),
        "LAB_CA_FILE": str(certificate_file),
        "LAB_RESOLVE": "{}",
        "LAB_HOST_ENDPOINT_URL": endpoint,
    }
    try:
        yield Cloud(endpoint, environment, server)
    finally:
        server.stdin.close()
        server.wait(timeout=30)


def run_playbook(
    cloud: Cloud,
    name: str | Path | Sequence[str],
    *args: str,
    extra_vars: Mapping[str, Any] | None = None,
    inventory: str | Path = "inventory/rehearsal",
    environment: Mapping[str, str] | None = None,
) -> Recap:
    """Run a playbook against a local AWS.

    Parameters
    ----------
    name:
        A file of `playbooks/` without its suffix, several of them for one run, or the path of another playbook.
    inventory:
        Folder of the inventory.
    """
    names = [name] if isinstance(name, str | Path) else list(name)
    paths = [str(one) if isinstance(one, Path) else str(REPOSITORY / "playbooks" / f"{one}.yml") for one in names]
    command = ["ansible-playbook", "-i", str(inventory), *paths, *args]
    if extra_vars:
        command += ["-e", json.dumps(extra_vars)]
    result = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**cloud.environment, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    # Several playbooks in one run print a recap each; the last one counts all.
    recaps = RECAP_LINE.findall(result.stdout)
    counts = dict(pair.split("=") for pair in recaps[-1].split()) if recaps else {}
    return Recap(result.returncode, result.stdout, {key: int(value) for key, value in counts.items()})


def insist(recap: Recap) -> Recap:
    """Show the output of a run that failed."""
    assert recap.returncode == 0, recap.output
    return recap


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start the local AWS once per worker."""
    with local_aws(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def fresh_cloud(cloud: Cloud) -> Cloud:
    """The local AWS, empty at the start of a test module."""
    cloud.reset()
    return cloud


@pytest.fixture
def clients(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """The project's own clients of the local AWS: empty at the start of a test, without faults at its end."""
    cloud.reset()
    for name, value in cloud.environment.items():
        if name.startswith(("AWS_", "LAB_")):
            monkeypatch.setenv(name, value)
    yield Clients(REGION)
    cloud.clear_faults()


@pytest.fixture(scope="session")
def playbook(cloud: Cloud) -> Playbook:
    """Run a playbook against the local AWS: `playbook("network", "--check", extra_vars={...})`."""
    return partial(run_playbook, cloud)


@pytest.fixture(scope="session")
def converge(playbook: Playbook) -> Playbook:
    """Run a playbook and insist that it succeeds, showing its output otherwise."""
    return lambda *args, **options: insist(playbook(*args, **options))


# --- an environment that is built once -----------------------------------------------------------------------------

SYSTEMS = ("network", "perimeter", "dns", "fleet", "addresses", "hub")


def neighbours(cloud: Cloud, name_suffix: str = "", environment: str = "rehearsal") -> None:
    """Make what other systems bring: the balancer, its target group and the file system."""
    ec2, elbv2, efs = cloud.client("ec2"), cloud.client("elbv2"), cloud.client("efs")
    tags = [
        {"Key": "checkop:environment", "Value": environment},
        {"Key": "checkop:managed-by", "Value": "checkop-environment"},
    ]
    name = [{"Name": "tag:Name", "Values": [f"checkop{name_suffix}"]}]
    vpc = ec2.describe_vpcs(Filters=name)["Vpcs"][0]["VpcId"]
    public = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "tag:checkop:tier", "Values": ["public"]}]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=public)["Subnets"]]
    elbv2.create_load_balancer(Name=f"Progresus-ELB{name_suffix}", Subnets=subnets, Tags=tags)
    elbv2.create_target_group(Name=f"AUTOChOp{name_suffix}", Protocol="HTTP", Port=80, VpcId=vpc, Tags=tags)
    efs.create_file_system(
        CreationToken=f"chop-temp{name_suffix}", Tags=[*tags, {"Key": "Name", "Value": f"ChOp-Temp{name_suffix}"}]
    )


@pytest.fixture(scope="session")
def make_neighbours() -> Callable[..., None]:
    """Make what other systems bring: `make_neighbours(cloud, "-staging", "staging")`."""
    return neighbours


@dataclass(frozen=True)
class Environment:
    """The systems of this folder's tests, built once per worker in a local AWS of their own, and how that went."""

    cloud: Cloud
    # Runs of all systems: checked before anything existed, and what was there after that check; made; run again; and
    # checked when finished.
    check_from_nothing: Recap
    vpcs_after_check: int
    first: Recap
    second: Recap
    check_finished: Recap

    def client(self, service: str) -> Any:
        """Make a plain boto3 client of a service."""
        return self.cloud.client(service)

    def run(self, *args: Any, **options: Any) -> Recap:
        """Run a playbook, which may fail."""
        return run_playbook(self.cloud, *args, **options)

    def converge(self, *args: Any, **options: Any) -> Recap:
        """Run a playbook, which must not fail."""
        return insist(self.run(*args, **options))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Build the environment once per worker; a test that changes it puts it right again."""
    with local_aws(tmp_path_factory.mktemp("environment")) as cloud:
        check = insist(run_playbook(cloud, SYSTEMS, "--check", "--diff"))
        vpcs = len(cloud.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["checkop"]}])["Vpcs"])
        network = insist(run_playbook(cloud, "network"))
        neighbours(cloud)
        rest = insist(run_playbook(cloud, SYSTEMS[1:]))
        first = Recap(0, network.output + rest.output, Counter(network.counts) + Counter(rest.counts))
        second = insist(run_playbook(cloud, SYSTEMS))
        finished = insist(run_playbook(cloud, SYSTEMS, "--check", "--diff"))
        yield Environment(cloud, check, vpcs, first, second, finished)


@pytest.fixture(scope="session")
def make_certificate() -> Callable[[Path], tuple[Path, Path]]:
    """Write another certificate for checkop.co into a folder: `make_certificate(tmp_path)`."""
    return write_certificate
