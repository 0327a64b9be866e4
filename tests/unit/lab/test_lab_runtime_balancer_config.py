"""HAProxy's configuration: what the API says, rendered, and judged by HAProxy itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import balancer_config as config
from lab.api.views import LoadBalancer, Rule, TargetGroup
from lab.errors import LabError
from lab.preflight import which

FORWARD = {"Type": "forward", "TargetGroupArn": "arn:tg/AUTOChOp"}
REDIRECT = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}


def rule(action: dict[str, Any], *conditions: dict[str, Any], priority: str = "default") -> Rule:
    return Rule("arn:rule", priority, conditions, (action,))


def inputs(balancer: LoadBalancer, *groups: TargetGroup, **changes: Any) -> config.Inputs:
    facts: dict[str, Any] = {
        "load_balancers": [balancer],
        "target_groups": {group.arn: group for group in groups},
        "addresses": {balancer.arn: {"us-east-1a": "127.150.2.1", "us-east-1d": "127.150.2.4"}},
        "certificates": {},
    }
    return config.Inputs(**{**facts, **changes})


def judge(text: str, folder: Path) -> str:
    """HAProxy's complaints, empty for a good configuration."""
    program = which("haproxy")
    assert program is not None, "haproxy is missing: `make setup` installs it"
    (folder / config.ADDRESS_MAP).write_text("", encoding="ascii")
    (folder / config.STATE_FILE).write_text("", encoding="ascii")
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    done = subprocess.run([program, "-c", "-f", "haproxy.cfg"], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


def test_every_zone_has_its_node(balancer: Callable[..., LoadBalancer], group: Callable[..., TargetGroup]) -> None:
    text = config.render(inputs(balancer(rule(FORWARD)), group()))
    assert "bind 127.150.2.1:80\n" in text
    assert "bind 127.150.2.4:80\n" in text
    assert "frontend lb-Progresus-ELB-80-us-east-1d" in text


def test_everything_at_once_is_valid(
    balancer: Callable[..., LoadBalancer], group: Callable[..., TargetGroup], tmp_path: Path
) -> None:
    conditions = [
        {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a b/*", "/it's?"]}},
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.checkop.co"]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "Values": ["curl*"]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "HEAD"]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "1"}, {"Value": "x*"}]}},
        {"Field": "path-pattern", "Values": ["/old/*"]},
    ]
    weighted = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": "arn:tg/AUTOChOp", "Weight": 90},
                {"TargetGroupArn": "arn:tg/green", "Weight": 10},
            ]
        },
    }
    fixed = {
        "Type": "fixed-response",
        "FixedResponseConfig": {"StatusCode": "503", "MessageBody": "don't", "ContentType": "text/plain"},
    }
    rules = [rule(fixed, one, priority=str(number)) for number, one in enumerate(conditions, 1)]
    rules += [rule(REDIRECT, conditions[0], priority="50"), rule(weighted)]
    green = group(
        "green",
        protocol="HTTPS",
        attributes={
            "load_balancing.algorithm.type": "least_outstanding_requests",
            "slow_start.duration_seconds": "30",
        },
    )
    text = config.render(
        inputs(
            balancer(*rules, attributes={"idle_timeout.timeout_seconds": "120"}),
            group(),
            green,
            elastic_addresses=["127.150.9.1"],
            elastic_ports=[22, 80],
            servers={green.arn: [config.Server("i-1_80", "127.150.1.1", 80)]},
        )
    )
    assert judge(text, tmp_path) == ""
    assert "balance leastconn" in text
    assert "slowstart 30s" in text
    assert text.count("server i-1_80 127.150.1.1:80 ") == 2, "one for requests, one for when nobody is healthy"


def test_https_takes_the_imported_certificate(
    balancer: Callable[..., LoadBalancer], group: Callable[..., TargetGroup]
) -> None:
    plain = balancer(rule(FORWARD), port=443, protocol="HTTPS")
    listener = plain.listeners[0]
    secure = type(plain)(
        **{**vars(plain), "listeners": (type(listener)(**{**vars(listener), "certificate_arns": ("arn:c",)}),)}
    )
    text = config.render(inputs(secure, group(), certificates={"arn:c": "c.pem"}))
    assert "bind 127.150.2.1:443 ssl crt c.pem ssl-min-ver TLSv1.2" in text
    with pytest.raises(LabError, match="port 443 has no certificate"):
        config.render(inputs(secure, group()))


def test_only_groups_in_use_are_there(balancer: Callable[..., LoadBalancer], group: Callable[..., TargetGroup]) -> None:
    text = config.render(inputs(balancer(rule(FORWARD)), group(), group("idle")))
    assert "backend tg-AUTOChOp\n" in text
    assert "tg-idle" not in text


def test_weights_become_shares_of_the_dice(
    balancer: Callable[..., LoadBalancer], group: Callable[..., TargetGroup]
) -> None:
    def shares(*weights: int) -> list[str]:
        groups = [{"TargetGroupArn": f"arn:tg/g{n}", "Weight": w} for n, w in enumerate(weights)]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        members = [group(f"g{n}") for n in range(len(weights))]
        text = config.render(inputs(balancer(rule(action), zones=("us-east-1a",)), *members))
        return [line.strip() for line in text.splitlines() if "use_backend" in line and "-open" not in line]

    first, second = shares(10, 90)
    assert first == "use_backend tg-g0 if { var(txn.rule) -m int 1 } { var(txn.dice) -m int lt 100 }"
    assert second == "use_backend tg-g1 if { var(txn.rule) -m int 1 }"
    assert shares(0, 100) == ["use_backend tg-g1 if { var(txn.rule) -m int 1 }"]
    assert shares(0, 0) == []


def test_what_has_no_counterpart_is_refused(
    balancer: Callable[..., LoadBalancer], group: Callable[..., TargetGroup]
) -> None:
    with pytest.raises(LabError, match="authenticate-oidc"):
        config.render(inputs(balancer(rule({"Type": "authenticate-oidc"})), group()))
    with pytest.raises(LabError, match="condition on moon"):
        config.render(inputs(balancer(rule(FORWARD, {"Field": "moon", "Values": ["full"]})), group()))
    broken = {"Field": "path-pattern", "Values": ["/a\nuse_backend x"]}
    with pytest.raises(LabError, match="line break"):
        config.render(inputs(balancer(rule(FORWARD, broken)), group()))


def test_haproxy_is_what_judges(tmp_path: Path) -> None:
    assert "ALERT" in judge("nonsense here\n", tmp_path)
