"""AWS clients of a host, made when first asked for: importing the SDK costs a third of a second."""

import os

from .errors import AwsError
from .imds import Metadata


class Clients(object):
    """Clients of one host.

    Args:
        region: region name; empty to take AWS_DEFAULT_REGION or the instance's own.
        endpoint_url: endpoint of every service; AWS_ENDPOINT_URL, which the SDK for Python 2.7 predates, wins over it.
        metadata: reader of instance metadata.
    """

    def __init__(self, region="", endpoint_url="", metadata=None):
        self.metadata = metadata or Metadata()
        self._region = region
        self._endpoint_url = os.environ.get("AWS_ENDPOINT_URL") or endpoint_url or None
        self._session = None

    @property
    def region(self):
        """Return the region that the clients speak to."""
        if not self._region:
            self._region = os.environ.get("AWS_DEFAULT_REGION") or self.metadata.region()
        return self._region

    def client(self, service):
        """Return a client of a service, for example "ssm"."""
        import boto3
        from botocore.config import Config

        if self._session is None:
            # The SDK reads credentials of the instance's role from the same metadata.
            os.environ.setdefault("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.metadata.endpoint + "/")
            self._session = boto3.session.Session(region_name=self.region)
        return self._session.client(
            service,
            endpoint_url=self._endpoint_url,
            config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 6, "mode": "standard"}),
        )


def calling(what, function, *args, **kwargs):
    """Return what an AWS call returns.

    Raises:
        AwsError: AWS refuses or does not answer; says what was wanted.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return function(*args, **kwargs)
    except (BotoCoreError, ClientError) as error:
        # A time-out has an attribute of this name too, which is None.
        answer = getattr(error, "response", None) or {}
        raise AwsError("cannot %s: %s" % (what, error), answer.get("Error", {}).get("Code", ""))
