"""Addresses: public and Elastic IP addresses come from the runtime, where something answers on them."""

from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance

from lab.api import context


class LabNetworkInterface(NetworkInterface):  # type: ignore[misc]
    """A network interface whose public address is one of the runtime's."""

    public_ip: str | None

    def check_auto_public_ip(self) -> None:
        """Give it its public address once it belongs to an instance."""
        wanted = str(self.public_ip_auto_assign).lower() == "true"
        if wanted and self.instance is not None and self.public_ip is None:
            self.public_ip = context.current().hooks.public_address(self.instance.id)

    def stop(self) -> None:
        """Lose the public address, as an instance does that stops; an Elastic IP address stays."""
        if not any(address.eni is self for address in self.ec2_backend.addresses):
            super().stop()


class NetworkMixin:
    """The part of the EC2 backend that deals with addresses."""

    addresses: list[ElasticAddress]
    enis: dict[str, NetworkInterface]

    def create_network_interface(
        self, subnet: Any, private_ip_address: Any, private_ip_addresses: Any = None, **kwargs: Any
    ) -> NetworkInterface:
        """Create an interface of ours in the place of moto's."""
        interface = LabNetworkInterface(self, subnet, private_ip_address, private_ip_addresses, **kwargs)
        self.enis[interface.id] = interface
        return interface

    def allocate_address(
        self, domain: str | None, address: str | None = None, tags: dict[str, str] | None = None
    ) -> ElasticAddress:
        """Allocate an Elastic IP address from the runtime's pool."""
        ip = address or context.current().hooks.elastic_address()
        elastic: ElasticAddress = super().allocate_address("vpc", ip, tags)  # type: ignore[misc]
        return elastic

    def release_address(self, address: str | None = None, allocation_id: str | None = None) -> None:
        """Release an Elastic IP address back to the runtime's pool."""
        released = [a for a in self.addresses if address == a.public_ip or allocation_id == a.allocation_id]
        super().release_address(address, allocation_id)  # type: ignore[misc]
        for elastic in released:
            context.current().hooks.release_address(elastic.public_ip)

    def associate_address(self, instance: Any = None, eni: Any = None, **kwargs: Any) -> ElasticAddress:
        """Associate an address; one that the instance had becomes free, and the instance it came from goes without."""
        elastic: ElasticAddress = super().associate_address(instance=instance, eni=eni, **kwargs)  # type: ignore[misc]
        interface = elastic.eni
        elastic.instance = elastic.instance or interface.instance
        for other in self.addresses:
            if other is not elastic and other.eni is interface:
                other.instance = other.eni = other.association_id = None
        for stale in self.enis.values():
            if stale is not interface and stale.public_ip == elastic.public_ip:
                stale.public_ip = None
                stale.check_auto_public_ip()
        return elastic

    def elastic_ips_of(self, instance: Instance) -> tuple[str, ...]:
        """Return the Elastic IP addresses that lead to an instance."""
        return tuple(a.public_ip for a in self.addresses if a.instance is not None and a.instance.id == instance.id)

    def free_addresses_of(self, instance: Instance) -> None:
        """Disassociate the Elastic IP addresses of an instance that has ended."""
        for elastic in self.addresses:
            if elastic.instance is not None and elastic.instance.id == instance.id:
                self.disassociate_address(address=elastic.public_ip)  # type: ignore[attr-defined]
