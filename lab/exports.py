"""What `lab env` prints: everything that points AWS clients, Ansible and Packer at the lab, and nothing else at AWS."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import jinja2
import yaml

from lab.containers import PROJECT_ROOT
from lab.names import UPSTREAM_IMAGE_ID, balancer_dns_name

REGION = "us-east-1"
ACCOUNT = "123456789012"
# AWS answers InvalidClientTokenId to this: its key ids have 20 capitals and digits.
ACCESS_KEY_ID = "rehearsal-only"
SECRET_ACCESS_KEY = "rehearsal-only"  # noqa: S105 (a key that opens nothing)

_FACTS = PROJECT_ROOT / "inventory/production/group_vars/all"


def served_names() -> list[str]:
    """Return the names that the environment's certificate is for, from the inventory: one fact, one place."""
    facts = _facts()
    return [_filled(name, facts) for name in facts["balancer_certificate_domains"]]


def expected_dns_name() -> str:
    """Return the DNS name that the balancer of the inventory gets here, so that it resolves before it exists."""
    facts = _facts()
    return balancer_dns_name(_filled(facts["balancer_name"], facts), REGION)


def resolve(balancers: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return name: address for the balancers, their nodes by zone, and the names that the first of them serves.

    Args:
        balancers: DNS name: the address of its node in each zone; the first node's is also the balancer's own.
    """
    names: dict[str, str] = {}
    for dns_name, nodes in balancers.items():
        first = next(iter(nodes.values()))
        names = dict.fromkeys(served_names(), first) | names | {dns_name: first}
        names |= {f"{zone}.{dns_name}": address for zone, address in nodes.items()}
    return names


def variables(run: dict[str, Any], names: dict[str, str]) -> dict[str, str]:
    """Return the variables of a running lab.

    Args:
        run: what `State.run` returns.
        names: what `resolve` returns.
    """
    endpoint = f"http://127.0.0.1:{run['port']}"
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # No profile of the operator may lend a real account's credentials.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "ANSIBLE_PRIVATE_KEY_FILE": run["ssh_key"],
        "LAB_SSH_PUBLIC_KEY_FILE": f"{run['ssh_key']}.pub",
        "LAB_CA_FILE": run["ca_file"],
        "LAB_CERTIFICATE_FILE": run["certificate_file"],
        "LAB_CERTIFICATE_KEY_FILE": run["certificate_key_file"],
        "LAB_RESOLVE": json.dumps(names),
        "LAB_HOST_ENDPOINT_URL": f"http://10.0.2.2:{run['port']}",
        # Packer asks every second what here takes one; AWS takes minutes, and Packer's own pause is right there.
        "AWS_POLL_DELAY_SECONDS": "1",
        "PKR_VAR_custom_endpoint_ec2": endpoint,
        "PKR_VAR_skip_region_validation": "true",
        "PKR_VAR_skip_metadata_api_check": "true",
        # It is deprecated, as CentOS 7's are, and Packer 1.6.6 finds such an image by its id only.
        "PKR_VAR_source_ami_id": UPSTREAM_IMAGE_ID,
    }


# Each would lead a client past the endpoint or the credentials above.
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
# Followed by a service's name, it wins over AWS_ENDPOINT_URL.
_SERVICE_ENDPOINT = "AWS_ENDPOINT_URL_"


def shell_lines(exported: dict[str, str]) -> str:
    """Return lines for `eval`: the variables, what must not be set, and the virtual environment first on PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    services = sorted(name for name in os.environ if name.startswith(_SERVICE_ENDPOINT))
    lines.append(f"unset {' '.join([*_UNSET, *services])}")
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}":$PATH"')
    return "\n".join(lines) + "\n"


def _facts() -> dict[str, Any]:
    # Ansible would take half a second and fifty megabytes to say the same.
    texts = [(_FACTS / f"{concern}.yml").read_text(encoding="utf-8") for concern in ("balancer", "dns")]
    return {name: value for text in texts for name, value in yaml.safe_load(text).items()}


def _filled(value: str, facts: dict[str, Any]) -> str:
    # What stands in other files, a suffix that is empty here, becomes nothing.
    filled: str = jinja2.Template(value).render(facts)
    return filled
