"""The balancer's certificate in ACM: imported from files, or requested and validated by DNS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.ownership import ENVIRONMENT_TAG
from checkop.provision.hosted_zone import ensure_zone
from checkop.reconcile import UNKNOWN, present_tags, tag_list, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_route53 import Route53Client

    from checkop.reconcile import Plan

# ListCertificates leaves out all but 1024 and 2048 bit RSA keys unless the others are named.
KEY_TYPES = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
VALIDATION_TTL_SECONDS = 300


def find(acm: Any, domains: Sequence[str], environment: str) -> list[dict[str, Any]]:
    """Find this environment's certificates whose first name is the first of the domains, with their tags.

    Follows ACM ListCertificates and DescribeCertificate. First is the one that covers all domains, is issued and lives
    longest.
    """
    found = []
    pages = acm.get_paginator("list_certificates").paginate(Includes={"keyTypes": KEY_TYPES})
    for page in pages:
        for summary in page["CertificateSummaryList"]:
            if summary["DomainName"] != domains[0]:
                continue
            arn = summary["CertificateArn"]
            tags = tag_map(acm.list_tags_for_certificate(CertificateArn=arn)["Tags"])
            if tags.get(ENVIRONMENT_TAG) == environment:
                certificate = dict(acm.describe_certificate(CertificateArn=arn)["Certificate"])
                found.append({**certificate, "tags": tags})
    usable = [certificate for certificate in found if certificate["Status"] in ("ISSUED", "PENDING_VALIDATION")]
    return sorted(
        usable,
        key=lambda certificate: (
            covers(certificate["SubjectAlternativeNames"], domains),
            certificate["Status"] == "ISSUED",
            str(certificate.get("NotAfter", "")),
        ),
        reverse=True,
    )


def covers(names: Sequence[str], domains: Sequence[str]) -> bool:
    """Say whether a certificate's names cover all domains; a wildcard stands for one label (RFC 6125)."""
    return all(domain in names or f"*.{domain.partition('.')[2]}" in names for domain in domains)


def split_chain(pem: str) -> tuple[str, str]:
    """Split a PEM file into the certificate and the chain that follows it, as ACM ImportCertificate wants them.

    Raises
    ------
    CheckopError
        There is no certificate in it.
    """
    end = "-----END CERTIFICATE-----"
    blocks = [f"{block.strip()}\n{end}\n" for block in pem.split(end)[:-1]]
    if not blocks:
        raise CheckopError("balancer_certificate_file holds no PEM certificate (-----BEGIN CERTIFICATE-----).")
    return blocks[0], "".join(blocks[1:])


def import_files(acm: Any, plan: Plan, domains: Sequence[str], *, pem: str, key: str, tags: Mapping[str, str]) -> str:
    """Import a certificate from files; the same one is left alone, a renewed one takes the old one's ARN.

    Returns
    -------
    str
        The ARN; `UNKNOWN` where a check found none.

    Raises
    ------
    CheckopError
        The file holds no certificate, or one that does not cover the domains.
    """
    certificate, chain = split_chain(pem)
    content: dict[str, Any] = {"Certificate": certificate.encode(), "PrivateKey": key.encode()}
    if chain:
        content["CertificateChain"] = chain.encode()
    resource = f"ACM certificate {domains[0]}"
    all_tags = {**tags, "Name": domains[0]}
    existing = [item for item in find(acm, domains, tags[ENVIRONMENT_TAG]) if item["Type"] == "IMPORTED"]
    if not existing:
        made = plan.step(
            resource,
            None,
            {"type": "imported", "names": list(domains), "tags": all_tags},
            lambda: acm.import_certificate(**content, Tags=tag_list(all_tags)),
        )
        if made is None:
            return UNKNOWN
        _prove_names(acm, made["CertificateArn"], domains)
        return str(made["CertificateArn"])
    arn = str(existing[0]["CertificateArn"])
    current = acm.get_certificate(CertificateArn=arn)["Certificate"]
    plan.step(
        resource,
        {"certificate": current.strip()},
        {"certificate": certificate.strip()},
        lambda: acm.import_certificate(CertificateArn=arn, **content),
    )
    _tags(acm, plan, resource, existing[0], all_tags)
    return arn


def _prove_names(acm: Any, arn: str, domains: Sequence[str]) -> None:
    """Take a certificate for other domains back: nothing would find it again, and every run would import one more."""
    imported = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    names = imported["SubjectAlternativeNames"]
    if imported["DomainName"] != domains[0] or not covers(names, domains):
        acm.delete_certificate(CertificateArn=arn)
        raise CheckopError(
            f"balancer_certificate_file is for {imported['DomainName']} with {', '.join(names)}, but "
            f"balancer_certificate_domains wants {', '.join(domains)}, the first of them as its common name. Give a "
            "certificate for these, or correct the list."
        )


def request(
    acm: Any,
    route53: Route53Client,
    plan: Plan,
    domains: Sequence[str],
    *,
    zone: tuple[str, str],
    tags: Mapping[str, str],
    wait_seconds: int,
) -> str:
    """Request a certificate, write the records that prove the domains, and wait until it is issued.

    Follows ACM RequestCertificate with DNS validation; ACM renews it as long as the records stand. The zone is made
    here where there is none yet: its aliases need the balancer, which needs the certificate, which needs the zone.

    Parameters
    ----------
    acm, route53:
        The clients.
    plan:
        Records and applies.
    domains:
        Names to cover; the first one finds the certificate.
    zone:
        ``dns_zone`` and ``dns_zone_id`` of the inventory.
    tags:
        Tags of ownership.
    wait_seconds:
        Bound of the wait until it is issued.

    Returns
    -------
    str
        The ARN; `UNKNOWN` where a check found none.

    Raises
    ------
    CheckopError
        The certificate is not issued in time; most often the registrar does not name the zone's name servers yet.
    """
    resource = f"ACM certificate {domains[0]}"
    all_tags = {**tags, "Name": domains[0]}
    existing = [
        item for item in find(acm, domains, tags[ENVIRONMENT_TAG]) if covers(item["SubjectAlternativeNames"], domains)
    ]
    if existing:
        arn = str(existing[0]["CertificateArn"])
        _tags(acm, plan, resource, existing[0], all_tags)
        if existing[0]["Status"] == "ISSUED":
            return arn
    else:
        made = plan.step(
            resource,
            None,
            {"type": "requested", "names": list(domains), "tags": all_tags},
            lambda: acm.request_certificate(
                DomainName=domains[0],
                SubjectAlternativeNames=list(domains),
                ValidationMethod="DNS",
                KeyAlgorithm="EC_prime256v1",
                Tags=tag_list(all_tags),
            ),
        )
        arn = made["CertificateArn"] if made else UNKNOWN
    if plan.check:
        return arn
    zone_id = ensure_zone(route53, plan, zone[0], tags, zone[1])
    _validate(acm, route53, arn, zone_id)
    _await_issued(acm, route53, arn, zone_id, wait_seconds)
    return arn


def _tags(acm: Any, plan: Plan, resource: str, certificate: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    plan.step(
        f"{resource}: tags",
        present_tags(certificate["tags"], wanted),
        dict(wanted),
        lambda: acm.add_tags_to_certificate(CertificateArn=certificate["CertificateArn"], Tags=tag_list(wanted)),
    )


def _records(acm: Any, arn: str) -> list[Any]:
    """Return the validation record of each name; empty until ACM has made up all of them."""
    options = acm.describe_certificate(CertificateArn=arn)["Certificate"].get("DomainValidationOptions", [])
    records = [option["ResourceRecord"] for option in options if "ResourceRecord" in option]
    return records if len(records) == len(options) else []


def _validate(acm: Any, route53: Route53Client, arn: str, zone_id: str) -> None:
    # ACM makes up the records some seconds after the request.
    wait_until(
        f"the validation records of {arn}",
        lambda: (bool(_records(acm, arn)), "not all yet"),
        timeout_seconds=60,
    )
    # Domains under one name share a record; a set keeps the change batch free of duplicates.
    records = {(record["Name"], record["Type"], record["Value"]) for record in _records(acm, arn)}
    route53.change_resource_record_sets(
        HostedZoneId=zone_id,
        ChangeBatch={
            "Comment": "Validation of the balancer's certificate",
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": name,
                        "Type": kind,
                        "TTL": VALIDATION_TTL_SECONDS,
                        "ResourceRecords": [{"Value": value}],
                    },
                }
                for name, kind, value in sorted(records)
            ],
        },
    )


def _await_issued(acm: Any, route53: Route53Client, arn: str, zone_id: str, wait_seconds: int) -> None:
    zone = route53.get_hosted_zone(Id=zone_id)
    servers = ", ".join(zone.get("DelegationSet", {}).get("NameServers", []))
    name = zone["HostedZone"]["Name"].rstrip(".")

    def look() -> tuple[bool, str]:
        status = acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
        return status == "ISSUED", status

    wait_until(
        f"ACM to issue {arn}; it can only once the registrar of {name} names these servers: {servers}",
        look,
        timeout_seconds=wait_seconds,
        interval_seconds=10,
    )
