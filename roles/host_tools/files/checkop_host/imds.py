"""Instance metadata, version 2 only (Amazon EC2 user guide, "Use IMDSv2")."""

import os

from .errors import HostError

try:
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener
except ImportError:  # Python 2.7
    from urllib2 import HTTPError, ProxyHandler, Request, URLError, build_opener

DEFAULT_ENDPOINT = "http://169.254.169.254"
_NOT_FOUND = 404
_TOKEN_SECONDS = 300


class Metadata(object):
    """Reader of this instance's metadata.

    Args:
        endpoint: base address; AWS_EC2_METADATA_SERVICE_ENDPOINT, as in the SDKs, or AWS's own if None.
        timeout: seconds for one answer.
    """

    def __init__(self, endpoint=None, timeout=2.0):
        endpoint = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT
        self.endpoint = endpoint.rstrip("/")
        self.timeout = timeout
        # Metadata is link-local: a proxy of the environment must never see it.
        self._opener = build_opener(ProxyHandler({}))

    def get(self, path):
        """Return the text at `path` below latest/meta-data, or None where there is none.

        Raises:
            HostError: no answer.
        """
        try:
            token = self._ask(
                "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}, method="PUT"
            )
            return self._ask("meta-data/" + path, {"X-aws-ec2-metadata-token": token})
        except HTTPError as error:
            if error.code == _NOT_FOUND:
                return None
            raise HostError("instance metadata %s answers %s" % (path, error))
        except (URLError, IOError, OSError) as error:
            raise HostError("no instance metadata at %s: %s" % (self.endpoint, error))

    def instance_id(self):
        """Return this instance's id.

        Raises:
            HostError: no answer, or none in the metadata.
        """
        found = self.get("instance-id")
        if not found:
            raise HostError("the metadata at %s name no instance-id" % self.endpoint)
        return found

    def region(self):
        """Return the region of this instance."""
        return self.get("placement/region") or (self.get("placement/availability-zone") or "")[:-1]

    def _ask(self, path, headers, method="GET"):
        request = Request("%s/latest/%s" % (self.endpoint, path), headers=headers)
        request.get_method = lambda: method
        answer = self._opener.open(request, timeout=self.timeout)
        try:
            return answer.read().decode("utf-8").strip()
        finally:
            answer.close()
