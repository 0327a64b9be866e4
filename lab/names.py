"""Names that the rehearsal must know before the resource exists."""

from __future__ import annotations

import zlib

# As the vendor's images in AWS, the upstream one has an id that never changes: a template may name it.
UPSTREAM_IMAGE_ID = "ami-00e87074e52e6c9f9"

_SMALLEST_NUMBER = 100_000_000
_NUMBERS = 900_000_000


def balancer_dns_name(name: str, region: str) -> str:
    """Return the DNS name of a load balancer, in AWS's form, the same whenever a balancer of that name is made.

    A shell takes `lab env` once, before the balancer exists, and must be able to resolve it afterwards.
    """
    number = _SMALLEST_NUMBER + zlib.crc32(name.encode()) % _NUMBERS
    return f"{name}-{number}.{region}.elb.amazonaws.com"
