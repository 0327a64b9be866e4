"""Elastic IP addresses: claim a free one of the pool, give it back (EC2 AssociateAddress, DisassociateAddress)."""

import logging
import random
import time

from .aws import calling
from .errors import AwsError, HostError

_LOG = logging.getLogger(__name__)
_TAKEN = ("Resource.AlreadyAssociated", "InvalidAddress.NotFound", "InvalidAllocationID.NotFound")


def claim(settings, clients, instance_id, sleep=time.sleep, shuffle=random.shuffle):
    """Make sure this instance has an Elastic IP address; return it, or None if it is no member of the pool's groups.

    An address that is associated is never taken from its holder: AllowReassociation is false, so that of two instances
    that choose the same one, one is refused by EC2 and tries the next.

    Args:
        settings: `address` of the host's settings: `pool_tags`, `groups`, `attempts`, `pause_seconds`.
        clients: AWS clients of this host.
        instance_id: this instance.
        sleep: waits a number of seconds.
        shuffle: brings a list into another order; instances that boot together then rarely choose the same address.

    Raises:
        HostError: no address of the pool is free after all attempts, or EC2 refuses.
    """
    ec2 = clients.client("ec2")
    group = _group(ec2, instance_id)
    if group not in settings["groups"]:
        _LOG.info("%s is of group %s: it claims no address of the pool", instance_id, group or "(none)")
        return None
    for attempt in range(1, settings["attempts"] + 1):
        held = _addresses(ec2, [{"Name": "instance-id", "Values": [instance_id]}])
        if held:
            _LOG.info("%s has address %s", instance_id, held[0]["PublicIp"])
            return held[0]["PublicIp"]
        pool = _addresses(ec2, _tag_filters(settings["pool_tags"]))
        free = [address for address in pool if not address.get("AssociationId")]
        shuffle(free)
        for address in free:
            if _associate(ec2, address, instance_id):
                return address["PublicIp"]
        _LOG.warning(
            "attempt %d of %d: none of %d addresses of the pool is free", attempt, settings["attempts"], len(pool)
        )
        if attempt < settings["attempts"]:
            sleep(settings["pause_seconds"] * (1 + random.random()))  # noqa: S311
    raise HostError(
        "no Elastic IP address is free for %s: all %d with tags %s are taken; enlarge the pool (fleet_max_size)"
        " or release what ended instances still hold" % (instance_id, len(pool), settings["pool_tags"])
    )


def release(settings, clients, instance_id):
    """Give this instance's addresses of the pool back; return them. Others, such as the hub's own, are left alone."""
    ec2 = clients.client("ec2")
    filters = _tag_filters(settings["pool_tags"]) + [{"Name": "instance-id", "Values": [instance_id]}]
    released = []
    for address in _addresses(ec2, filters):
        calling(
            "release address " + address["PublicIp"], ec2.disassociate_address, AssociationId=address["AssociationId"]
        )
        _LOG.info("released address %s of %s", address["PublicIp"], instance_id)
        released.append(address["PublicIp"])
    return released


def _associate(ec2, address, instance_id):
    """Return whether the address is now this instance's; False if another took it first."""
    try:
        calling(
            "associate %s with %s" % (address["PublicIp"], instance_id),
            ec2.associate_address,
            AllocationId=address["AllocationId"],
            InstanceId=instance_id,
            AllowReassociation=False,
        )
    except AwsError as error:
        if error.code not in _TAKEN:
            raise
        _LOG.info("address %s went to another instance first", address["PublicIp"])
        return False
    _LOG.info("claimed address %s for %s", address["PublicIp"], instance_id)
    return True


def _group(ec2, instance_id):
    """Return the value of this instance's tag checkop:group, or None."""
    filters = [{"Name": "resource-id", "Values": [instance_id]}, {"Name": "key", "Values": ["checkop:group"]}]
    tags = calling("read the tags of " + instance_id, ec2.describe_tags, Filters=filters)["Tags"]
    return tags[0]["Value"] if tags else None


def _addresses(ec2, filters):
    return calling("list Elastic IP addresses", ec2.describe_addresses, Filters=filters)["Addresses"]


def _tag_filters(tags):
    return [{"Name": "tag:" + key, "Values": [tags[key]]} for key in sorted(tags)]
