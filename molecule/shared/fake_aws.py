#!/usr/bin/python3
"""A few answers of AWS for one container: instance metadata, SSM and Secrets Manager as they are told, and a record of all calls.

Told by /opt/fake-aws/answers.json: `parameters` (SSM name -> value), `secrets` (id -> text), `metadata` (path -> text),
`tags` (instance tag -> value). Every API call is a line of /opt/fake-aws/calls.jsonl: `service`, `action`, `body`.
It answers what it knows and refuses the rest, so that a role that asks for more is noticed.
"""

import json
import re
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOME = Path("/opt/fake-aws")
ROLE = "molecule"
CREDENTIALS = {
    "Code": "Success",
    "AccessKeyId": "ASIAMOLECULE",
    "SecretAccessKey": "molecule",
    "Token": "molecule",
    "Expiration": "2099-01-01T00:00:00Z",
}
METADATA = {
    "instance-id": "i-0123456789abcdef0",
    "placement/region": "us-east-1",
    "placement/availability-zone": "us-east-1a",
    "iam/security-credentials/": ROLE,
    "iam/security-credentials/" + ROLE: json.dumps(CREDENTIALS),
}


def told():
    """Return what the scenario wants answered, read anew each time."""
    path = HOME / "answers.json"
    return json.loads(path.read_text()) if path.exists() else {}


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        """Give a metadata token (IMDSv2)."""
        self.answer(200, "token") if self.path == "/latest/api/token" else self.answer(404, "")

    def do_GET(self):
        """Answer from instance metadata, to who has a token."""
        if self.headers.get("X-aws-ec2-metadata-token") != "token":
            return self.answer(401, "")
        known = {**METADATA, **told().get("metadata", {})}
        found = known.get(re.sub("^/latest/meta-data/", "", self.path))
        return self.answer(404, "") if found is None else self.answer(200, found)

    def do_POST(self):
        """Answer an API call and write it down."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        target = self.headers.get("X-Amz-Target")
        if target:
            action, body = target.split(".")[-1], json.loads(body or "{}")
        else:
            body = dict(urllib.parse.parse_qsl(body))
            action = body.get("Action", "")
        scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", self.headers.get("Authorization", ""))
        line = json.dumps({"service": scope.group(1) if scope else "", "action": action, "body": body})
        with (HOME / "calls.jsonl").open("a") as handle:
            handle.write(line + "\n")
        method = getattr(self, "api_" + action, None)
        if method is None:
            return self.answer(400, json.dumps({"__type": "UnknownOperationException", "message": action}))
        return method(body)

    def api_GetParameters(self, body):
        """SSM."""
        known = told().get("parameters", {})
        found = [{"Name": name, "Value": known[name], "Type": "String"} for name in body["Names"] if name in known]
        missing = [name for name in body["Names"] if name not in known]
        self.answer(200, json.dumps({"Parameters": found, "InvalidParameters": missing}))

    def api_GetSecretValue(self, body):
        """Secrets Manager."""
        secret = told().get("secrets", {}).get(body["SecretId"])
        if secret is None:
            return self.answer(400, json.dumps({"__type": "ResourceNotFoundException", "message": "no such secret"}))
        return self.answer(200, json.dumps({"ARN": body["SecretId"], "Name": body["SecretId"], "SecretString": secret}))

    def api_DescribeTags(self, body):
        """EC2: the tag that is asked for by the filter `key`."""
        asked = [value for key, value in body.items() if key.startswith("Filter") and "Value" in key]
        found = {key: value for key, value in told().get("tags", {}).items() if key in asked}
        items = "".join("<item><key>%s</key><value>%s</value></item>" % pair for pair in found.items())
        self.answer(200, "<DescribeTagsResponse><tagSet>%s</tagSet></DescribeTagsResponse>" % items)

    def accept(self, _body):
        """Answer a call that only has to be written down."""
        self.answer(200, "{}")

    api_CreateLogGroup = api_CreateLogStream = api_PutLogEvents = api_PutRetentionPolicy = accept

    def api_PutMetricData(self, _body):
        """CloudWatch, Query protocol."""
        self.answer(200, "<PutMetricDataResponse/>")

    def answer(self, code, text):
        """Send an answer."""
        content = text.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments):
        """Say nothing: the calls are written down."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
