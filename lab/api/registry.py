"""Puts our services in the place of moto's: the one list of what is replaced."""

from moto.acm.models import acm_backends
from moto.acm.responses import AWSCertificateManagerResponse
from moto.autoscaling.models import autoscaling_backends
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends
from moto.elb.models import elb_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response

from lab.api.acm import LabACMBackend
from lab.api.autoscaling.backend import LabAutoScalingBackend
from lab.api.autoscaling.responses import LabAutoScalingResponse
from lab.api.ec2.backend import LabEC2Backend
from lab.api.ec2.responses import LabEC2Response
from lab.api.efs import LabEFSBackend, LabEFSResponse
from lab.api.elbv2.backend import LabELBv2Backend
from lab.api.elbv2.responses import LabELBBackend, LabELBv2Response
from lab.api.rds import LabRDSBackend, LabRDSResponse
from lab.api.s3 import LabS3Backend

# What moto creates backends from; our backend; the handler of its requests.
REPLACED = (
    (acm_backends, LabACMBackend, AWSCertificateManagerResponse),
    (autoscaling_backends, LabAutoScalingBackend, LabAutoScalingResponse),
    (ec2_backends, LabEC2Backend, LabEC2Response),
    (efs_backends, LabEFSBackend, LabEFSResponse),
    (elb_backends, LabELBBackend, LabELBv2Response),
    (elbv2_backends, LabELBv2Backend, LabELBv2Response),
    (rds_backends, LabRDSBackend, LabRDSResponse),
    (s3_backends, LabS3Backend, S3Response),
)


def install() -> None:
    """Forget everything that moto keeps and let it create our backends from now on."""
    for backends, ours, handler in REPLACED:
        backends.backend = ours
        ours.responses = handler
    _forget()


def remove() -> None:
    """Forget everything and let moto create its own backends again."""
    for backends, ours, _ in REPLACED:
        backends.backend = next(base for base in ours.__mro__ if base.__module__.startswith("moto."))
    _forget()


def _forget() -> None:
    """Drop every backend; moto's own reset would let some create others anew while it goes through them."""
    for backends in list(BackendDict._instances):
        backends.clear()
    BackendDict._instances.clear()
    # Whose each bucket is stands outside the backends; a bucket left here is looked for without end.
    s3_backends.bucket_accounts.clear()
