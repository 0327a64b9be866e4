"""Renders HAProxy's configuration from load balancers, listeners, rules and target groups.

Follows "Listeners and rules" of the Elastic Load Balancing user guide: rules by priority, the first that matches wins;
weighted forwards; redirects with `#{...}` parts; fixed responses. Pure functions over the views of the API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.api.views import Listener, LoadBalancer, Rule, TargetGroup

RUN_SOCKET = "run.sock"
STATE_FILE = "state"
ADDRESS_MAP = "elastic.map"
# A backend of this suffix holds the same servers for when no target is healthy: ELB fails open.
OPEN_SUFFIX = "-open"

_GLOBAL = f"""\
global
  stats socket unix@{RUN_SOCKET} mode 600 level admin expose-fd listeners
  server-state-file {STATE_FILE}
  nbthread 1
  maxconn 4000
  tune.ssl.default-dh-param 2048
  hard-stop-after 900s
  log stdout format raw local0
"""

_WEB_DEFAULTS = """\
defaults web
  mode http
  log global
  option dontlog-normal
  option httplog
  option idle-close-on-response
  option forwardfor
  # Only a connection that was never made is tried elsewhere; a request that was sent is not sent twice.
  retries 3
  option redispatch 1
  load-server-state-from-file global
  timeout connect 10s
  timeout client 60s
  timeout server 60s
"""


@dataclass(frozen=True)
class Server:
    """A target as a server of HAProxy."""

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Inputs:
    """Everything a configuration is made of.

    `addresses` maps a zone to the balancer's address there, by load balancer ARN; `certificates` maps certificate ARNs
    to files; `servers` are those that live in each target group's backends, by its ARN.
    """

    load_balancers: Sequence[LoadBalancer]
    target_groups: Mapping[str, TargetGroup]
    addresses: Mapping[str, Mapping[str, str]]
    certificates: Mapping[str, str]
    elastic_addresses: Sequence[str] = ()
    elastic_ports: Sequence[int] = ()
    servers: Mapping[str, Sequence[Server]] = field(default_factory=dict)


def backend(group: TargetGroup) -> str:
    """Return the name of a target group's backend."""
    return f"tg-{group.name}"


def frontend(balancer: LoadBalancer, listener: Listener, zone: str) -> str:
    """Return the name of the frontend that is a listener's node in one zone."""
    return f"lb-{balancer.name}-{listener.port}-{zone}"


def used_groups(load_balancers: Iterable[LoadBalancer]) -> set[str]:
    """Return the ARNs of the target groups that a listener's rule forwards to; only those are health checked."""
    return {
        arn
        for balancer in load_balancers
        for listener in balancer.listeners
        for rule in listener.rules
        for arn, _ in _weights(_routing(rule))
    }


def server_options(group: TargetGroup) -> str:
    """Return the keywords of a server of a target group. Health is measured by `lab.health`, not by HAProxy."""
    words = ["weight 100"]
    if group.protocol == "HTTPS":
        words.append("ssl verify none")
    slow_start = int(group.attributes.get("slow_start.duration_seconds", "0"))
    if slow_start:
        words.append(f"slowstart {slow_start}s")
    return " ".join(words)


def render(inputs: Inputs) -> str:
    """Return the whole configuration.

    Raises:
        LabError: a rule or a listener asks for something that has no counterpart here, or a certificate is missing.
    """
    parts = [_GLOBAL]
    if inputs.elastic_addresses:
        parts.append(_elastic(inputs.elastic_addresses, inputs.elastic_ports))
    parts.append(_WEB_DEFAULTS)
    for balancer in inputs.load_balancers:
        for listener in balancer.listeners:
            for zone in balancer.zones:
                parts.append(_frontend(inputs, balancer, listener, zone))
    for arn in sorted(used_groups(inputs.load_balancers) & set(inputs.target_groups)):
        group = inputs.target_groups[arn]
        parts += _backends(group, inputs.servers.get(arn, ()))
    return "\n".join(parts)


def _elastic(addresses: Sequence[str], ports: Sequence[int]) -> str:
    """Every Elastic IP leads to whatever the map names, so that an association needs no reload."""
    binds = ",".join(f"{address}:{port}" for address in addresses for port in ports)
    return f"""\
defaults elastic
  mode tcp
  timeout connect 10s
  timeout client 3600s
  timeout server 3600s

frontend elastic-addresses
  bind {binds}
  tcp-request connection reject unless {{ dst,map_ip({ADDRESS_MAP}) -m found }}
  tcp-request connection set-dst dst,map_ip({ADDRESS_MAP})
  default_backend elastic-instances

backend elastic-instances
  server any 0.0.0.0:0
"""


def _frontend(inputs: Inputs, balancer: LoadBalancer, listener: Listener, zone: str) -> str:
    idle = int(balancer.attributes.get("idle_timeout.timeout_seconds", "60"))
    lines = [
        f"frontend {frontend(balancer, listener, zone)}",
        f"  bind {inputs.addresses[balancer.arn][zone]}:{listener.port}{_tls(inputs, listener)}",
        f"  timeout client {idle}s",
        f"  timeout http-keep-alive {idle}s",
        "  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
        "  http-request set-header X-Forwarded-Port %[dst_port]",
    ]
    for number, rule in enumerate(listener.rules, start=1):
        matched = " ".join(["!{ var(txn.rule) -m found }", *(_condition(item) for item in rule.conditions)])
        lines.append(f"  http-request set-var(txn.rule) int({number}) if {matched}")
    lines.append("  http-request set-var(txn.dice) rand(1000)")
    for number, rule in enumerate(listener.rules, start=1):
        lines += _action(inputs, rule, f"{{ var(txn.rule) -m int {number} }}")
    return "\n".join(lines) + "\n"


def _tls(inputs: Inputs, listener: Listener) -> str:
    if listener.protocol != "HTTPS":
        return ""
    files = [inputs.certificates.get(arn) for arn in listener.certificate_arns]
    if not files or None in files:
        raise LabError(
            f"The listener on port {listener.port} has no certificate that this lab knows: import it to ACM."
        )
    return " ssl " + " ".join(f"crt {file}" for file in files) + " ssl-min-ver TLSv1.2 alpn h2,http/1.1"


def _backends(group: TargetGroup, servers: Sequence[Server]) -> list[str]:
    algorithm = group.attributes.get("load_balancing.algorithm.type", "round_robin")
    balance = "leastconn" if algorithm == "least_outstanding_requests" else "roundrobin"
    options = server_options(group)
    return [
        "\n".join(
            [
                f"backend {backend(group)}{suffix}",
                f"  balance {balance}",
                *(f"  server {one.name} {one.address}:{one.port} {options}" for one in servers),
            ]
        )
        + "\n"
        for suffix in ("", OPEN_SUFFIX)
    ]


def _routing(rule: Rule) -> Mapping[str, Any]:
    """Return a rule's last action: the one that answers or forwards; those before it authenticate."""
    return max(rule.actions, key=lambda action: int(action.get("Order", 0) or 0), default={})


def _weights(action: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return (target group ARN, weight) of a forward action, in order."""
    if str(action.get("Type", "")).lower() != "forward":
        return []
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    if not groups and action.get("TargetGroupArn"):
        return [(str(action["TargetGroupArn"]), 1)]
    return [(str(group["TargetGroupArn"]), int(group.get("Weight", 1) or 0)) for group in groups]


def _action(inputs: Inputs, rule: Rule, matched: str) -> list[str]:
    action = _routing(rule)
    kind = str(action.get("Type", "")).lower()
    if kind == "forward":
        return _forward(inputs, _weights(action), matched)
    if kind == "redirect":
        config = action["RedirectConfig"]
        code = str(config["StatusCode"]).rpartition("_")[2]
        return [f'  http-request redirect code {code} location "{_location(config)}" if {matched}']
    if kind == "fixed-response":
        config = action["FixedResponseConfig"]
        body = _word(str(config.get("MessageBody") or ""))
        content_type = _word(str(config.get("ContentType") or "text/plain"))
        return [
            f"  http-request return status {int(config['StatusCode'])} content-type {content_type}"
            f" string {body} if {matched}"
        ]
    raise LabError(
        f"Rule {rule.arn} has an action of type {kind or 'none'}: the lab knows forward, redirect, fixed-response."
    )


def _forward(inputs: Inputs, weights: list[tuple[str, int]], matched: str) -> list[str]:
    total = sum(weight for _, weight in weights)
    lines, below = [], 0
    for arn, weight in weights:
        if weight == 0 or arn not in inputs.target_groups:
            continue
        name = backend(inputs.target_groups[arn])
        below += weight
        # The dice has 1000 sides; a rule's last group takes what rounding leaves.
        share = "" if below == total else f" {{ var(txn.dice) -m int lt {round(1000 * below / total)} }}"
        none_healthy = f"{{ nbsrv({name}) eq 0 }} {{ nbsrv({name}{OPEN_SUFFIX}) gt 0 }}"
        lines.append(f"  use_backend {name}{OPEN_SUFFIX} if {matched}{share} {none_healthy}")
        lines.append(f"  use_backend {name} if {matched}{share}")
    return lines


def _location(config: Mapping[str, Any]) -> str:
    """Return the format string of a redirect's Location, with the parts of the request kept that it keeps."""
    protocol = str(config.get("Protocol") or "#{protocol}").replace("#{protocol}", "%[ssl_fc,iif(https,http)]").lower()
    host = str(config.get("Host") or "#{host}").replace("#{host}", "%[req.hdr(host),field(1,:)]")
    port = str(config.get("Port") or "#{port}").replace("#{port}", "%[dst_port]")
    path = str(config.get("Path") or "/#{path}").replace("/#{path}", "%[path]").replace("#{path}", "%[path]")
    query = str(config.get("Query") or "#{query}")
    tail = "%[query,regsub(^,?)]" if query == "#{query}" else f"?{query}".replace("#{query}", "%[query]")
    return f"{protocol}://{host}:{port}{path}{tail}"


def _condition(condition: Mapping[str, Any]) -> str:
    """Return HAProxy's expression for a rule's condition; its values are alternatives.

    Raises:
        LabError: the condition's field is none of those that Elastic Load Balancing documents.
    """
    kind = str(condition.get("Field"))
    config: Any = next((value for key, value in condition.items() if key.endswith("Config") and value), {})
    values = [str(value) for value in (config.get("Values") if isinstance(config, dict) else None) or []]
    values = values or [str(value) for value in condition.get("Values") or []]
    patterns = " ".join(_word(_regex(value)) for value in values)
    if kind == "path-pattern":
        return f"{{ path -m reg {patterns} }}"
    if kind == "host-header":
        return f"{{ req.hdr(host),field(1,:) -i -m reg {patterns} }}"
    if kind == "http-header":
        return f"{{ req.hdr({config['HttpHeaderName']}) -i -m reg {patterns} }}"
    if kind == "http-request-method":
        return f"{{ method {' '.join(values)} }}"
    if kind == "source-ip":
        return f"{{ src {' '.join(values)} }}"
    if kind == "query-string":
        pairs = [item for item in config["Values"] if isinstance(item, dict)]
        expressions = [
            _regex(f"{pair['Key']}={pair['Value']}" if pair.get("Key") else str(pair["Value"])) for pair in pairs
        ]
        return "{ query -m reg " + " ".join(_word(f"(^|&){one[1:-1]}(&|$)") for one in expressions) + " }"
    raise LabError(f"A rule has a condition on {kind}, which Elastic Load Balancing does not know.")


def _regex(pattern: str) -> str:
    """Translate a pattern with `*` and `?` to an anchored regular expression."""
    return "^" + re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") + "$"


def _word(text: str) -> str:
    """Quote a text so that HAProxy reads one word of it."""
    if re.search(r"[\r\n\0]", text):
        raise LabError(f"A rule contains a line break, which no HTTP header can carry: {text!r}.")
    return "'" + text.replace("'", "'\\''") + "'"
