"""Puts our services in the place of moto's: the one list of what is replaced."""

from moto.acm.models import acm_backends
from moto.autoscaling.models import autoscaling_backends
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends
from moto.elb.models import elb_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends

from lab.api.acm import LabACMBackend
from lab.api.autoscaling.responses import LabAutoScalingBackend
from lab.api.ec2.backend import LabEC2Backend
from lab.api.efs import LabEFSBackend
from lab.api.elbv2 import LabELBBackend, LabELBv2Backend
from lab.api.rds import LabRDSBackend

REPLACED = (
    (acm_backends, LabACMBackend),
    (autoscaling_backends, LabAutoScalingBackend),
    (ec2_backends, LabEC2Backend),
    (efs_backends, LabEFSBackend),
    (elb_backends, LabELBBackend),
    (elbv2_backends, LabELBv2Backend),
    (rds_backends, LabRDSBackend),
)


def install() -> None:
    """Forget everything that moto keeps and let it create our backends from now on."""
    for backends, ours in REPLACED:
        backends.backend = ours
    _forget()


def remove() -> None:
    """Forget everything and let moto create its own backends again."""
    for backends, ours in REPLACED:
        backends.backend = next(base for base in ours.__mro__ if base.__module__.startswith("moto."))
    _forget()


def _forget() -> None:
    """Drop every backend; moto's own reset would let some create others anew while it goes through them."""
    for backends in list(BackendDict._instances):  # noqa: SLF001 - moto's list of what is in use
        backends.clear()
    BackendDict._instances.clear()  # noqa: SLF001 - moto's list of what is in use
