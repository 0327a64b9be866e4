"""The few AWS calls of the agent: instance metadata (IMDSv2), Signature Version 4, JSON and Query APIs."""

import datetime
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

TIMEOUT_SECONDS = 10
_TOKEN_SECONDS = 21600


class CallError(Exception):
    """A call was refused or did not arrive; `code` is AWS's error code, or empty."""

    def __init__(self, message, code=""):
        super().__init__(message)
        self.code = code


class Metadata:
    """Instance metadata, version 2 only."""

    def __init__(self):
        endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254/"
        self._base = endpoint.rstrip("/") + "/latest/"
        self._token = None

    def get(self, path):
        """Return the text of a path below `meta-data/`; None if there is none.

        Raises:
            CallError: the service does not answer.
        """
        if self._token is None:
            ask = urllib.request.Request(self._base + "api/token", method="PUT")
            ask.add_header("X-aws-ec2-metadata-token-ttl-seconds", str(_TOKEN_SECONDS))
            self._token = _read(ask, 2).decode()
        ask = urllib.request.Request(self._base + "meta-data/" + path)
        ask.add_header("X-aws-ec2-metadata-token", self._token)
        try:
            return _read(ask, 2).decode()
        except CallError as error:
            if error.code == "401":
                self._token = None
            if error.code == "404":
                return None
            raise

    def credentials(self):
        """Return the instance role's access key, secret key, session token and their end (seconds since the epoch)."""
        role = (self.get("iam/security-credentials/") or "").split("\n")[0]
        if not role:
            raise CallError("the instance has no role")
        found = json.loads(self.get("iam/security-credentials/" + role) or "{}")
        expires = datetime.datetime.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
        return (
            found["AccessKeyId"],
            found["SecretAccessKey"],
            found["Token"],
            expires.replace(tzinfo=datetime.timezone.utc).timestamp(),
        )


class Client:
    """Calls AWS's APIs with the instance role's credentials, or those of the environment."""

    def __init__(self, region, metadata):
        self.region = region
        self._metadata = metadata
        self._credentials = None

    def json_call(self, service, target, body, endpoint=None):
        """Call a JSON 1.1 API, for example `logs`, `Logs_20140328.PutLogEvents`; return its answer."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
        answer = self._call(service, json.dumps(body).encode(), headers, endpoint)
        return json.loads(answer or b"{}")

    def query_call(self, service, parameters, endpoint=None):
        """Call a Query API; return the root of its XML answer."""
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return ElementTree.fromstring(
            self._call(service, urllib.parse.urlencode(parameters).encode(), headers, endpoint)
        )

    def _call(self, service, body, headers, endpoint):
        base = endpoint or os.environ.get("AWS_ENDPOINT_URL") or "https://%s.%s.amazonaws.com" % (service, self.region)
        url = urllib.parse.urlsplit(base.rstrip("/") + "/")
        request = urllib.request.Request(urllib.parse.urlunsplit(url), data=body, method="POST")
        for name, value in self._signed(service, url, body, headers).items():
            request.add_header(name, value)
        return _read(request, TIMEOUT_SECONDS)

    def _keys(self):
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            return (
                os.environ["AWS_ACCESS_KEY_ID"],
                os.environ["AWS_SECRET_ACCESS_KEY"],
                os.environ.get("AWS_SESSION_TOKEN"),
            )
        if self._credentials is None or self._credentials[3] - time.time() < 300:
            self._credentials = self._metadata.credentials()
        return self._credentials[:3]

    def _signed(self, service, url, body, headers):
        access, secret, token = self._keys()
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {**headers, "Host": url.netloc, "X-Amz-Date": stamp}
        if token:
            headers["X-Amz-Security-Token"] = token
        names = sorted(name.lower() for name in headers)
        values = {name.lower(): value for name, value in headers.items()}
        lines = ["POST", url.path or "/", "", *(f"{name}:{values[name]}" for name in names), "", ";".join(names)]
        canonical = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
        scope = "%s/%s/%s/aws4_request" % (stamp[:8], self.region, service)
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + secret).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
            access,
            scope,
            ";".join(names),
            signature,
        )
        return headers


def _read(request, timeout):
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise CallError("%s: %s" % (request.full_url, text[:300]), _code(error, text)) from error
    except OSError as error:
        raise CallError("%s: %s" % (request.full_url, error)) from error


def _code(error, text):
    try:
        return json.loads(text)["__type"].split("#")[-1]
    except (ValueError, KeyError, TypeError):
        return str(error.code)
