#!/usr/bin/python
"""Ansible module: the balancer's certificate."""

DOCUMENTATION = r"""
module: checkop_certificate
short_description: Have a certificate in ACM, imported or requested
description:
  - Imports a certificate from files, again only when the file holds another one, or
  - requests one from ACM, writes the validation records into the hosted zone and waits until it is issued.
  - The private key is read here from its file and goes to ACM only.
options:
  domains: {description: Names to cover; the first one finds it, type: list, elements: str, required: true}
  certificate_file: {description: PEM file with its chain; empty requests one from ACM, type: str, required: true}
  key_file: {description: PEM file of the private key, type: str, required: true}
  dns_zone: {description: Public hosted zone for the validation records, type: str, required: true}
  dns_zone_id: {description: Id of a zone to take over; empty finds or makes one by name, type: str, default: ""}
  wait_seconds: {description: Bound of the wait for ACM, type: int, required: true}
  region: {description: Region of the balancer, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Request the certificate
  checkop_certificate:
    domains: [checkop.co, www.checkop.co]
    certificate_file: ""
    key_file: ""
    dns_zone: checkop.co
    wait_seconds: 900
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
certificate_arn: {description: ARN of the certificate, type: str, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.errors import CheckopError
from checkop.module import COMMON, run
from checkop.reconcile import Plan
from checkop.resources import certificate

OPTIONS = {
    "domains": {"type": "list", "elements": "str", "required": True},
    "certificate_file": {"type": "str", "required": True},
    # The path of a key is none.
    "key_file": {"type": "str", "required": True, "no_log": False},
    "dns_zone": {"type": "str", "required": True},
    "dns_zone_id": {"type": "str", "default": ""},
    "wait_seconds": {"type": "int", "required": True},
}


def read(variable: str, path: str) -> str:
    """Read a PEM file that a variable of the inventory names."""
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckopError(
            f"{variable} is {path!r}, which cannot be read as a PEM file: {error}. Name a readable file, or leave "
            "both balancer_certificate_file and balancer_certificate_key_file empty to request one from ACM."
        ) from error


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Import or request."""
    domains, tags = options["domains"], options["tags"]
    if options["certificate_file"] or options["key_file"]:
        arn = certificate.import_files(
            clients.acm,
            plan,
            domains,
            pem=read("balancer_certificate_file", options["certificate_file"]),
            key=read("balancer_certificate_key_file", options["key_file"]),
            tags=tags,
        )
    else:
        arn = certificate.request(
            clients.acm,
            clients.route53,
            plan,
            domains,
            zone=(options["dns_zone"], options["dns_zone_id"]),
            tags=tags,
            wait_seconds=options["wait_seconds"],
        )
    return {"certificate_arn": arn}


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
