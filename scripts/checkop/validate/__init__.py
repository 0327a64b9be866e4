"""Refuse inventory data that cannot work, before the first call to AWS.

Pure: `validate` takes an inventory's variables and gives findings, each with variable, what was found, what is allowed
and the mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.validate.finding import Finding
from checkop.validate.monitoring import check_monitoring
from checkop.validate.network import check_network
from checkop.validate.perimeter import check_perimeter
from checkop.validate.records import check_records
from checkop.validate.schema import check_extra_variables, check_names, check_values, plain, variables
from checkop.validate.sizes import check_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Finding", "check_extra_variables", "report", "validate"]


def validate(data: Mapping[str, Any], unresolved: Mapping[str, str] | None = None) -> list[Finding]:
    """Check an inventory's variables: their names, each value by itself, and then how they fit together.

    Parameters
    ----------
    data:
        Variable name to templated value.
    unresolved:
        Variable name to the reason why its template has no value; told only where no data is at fault.

    Returns
    -------
    list[Finding]
        What is wrong; empty if nothing is. What has to fit together is looked at only when every value is right by
        itself.
    """
    data = plain(data)
    unresolved = unresolved or {}
    findings = check_names([*data, *unresolved]) + check_values(data)
    if unresolved and not findings:
        findings = [
            Finding(name, f"a template without a value ({reason})", "a value", "Correct the template")
            for name, reason in unresolved.items()
        ]
    if any(finding.variable.partition(":")[0].split(" ")[0] in variables() for finding in findings):
        return findings
    for check in (check_network, check_perimeter, check_sizes, check_records, check_monitoring):
        findings += check(data)
    return findings


def report(findings: list[Finding]) -> str:
    """Write findings as the message of a refusal."""
    lines = "\n".join(f"- {finding}" for finding in findings)
    return f"The inventory cannot work ({len(findings)} found), and nothing was sent to AWS:\n{lines}"
