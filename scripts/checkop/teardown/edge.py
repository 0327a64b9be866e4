"""Load balancers, target groups, certificates, hosted zones and buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.reconcile import tag_map
from checkop.teardown.model import Item, Kind

if TYPE_CHECKING:
    from checkop.aws import Clients
    from checkop.teardown.model import Scope

# ELBv2 DescribeTags takes twenty ARNs at most.
TAG_BATCH = 20
# ListCertificates leaves out all but 1024 and 2048 bit RSA keys unless the others are named.
KEY_TYPES = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]


def _owned_arns(clients: Clients, scope: Scope, names: dict[str, str]) -> list[Item]:
    arns = list(names)
    found = []
    for start in range(0, len(arns), TAG_BATCH):
        answer = clients.elbv2.describe_tags(ResourceArns=arns[start : start + TAG_BATCH])
        found += [
            Item(description["ResourceArn"], names[description["ResourceArn"]])
            for description in answer["TagDescriptions"]
            if scope.owns(description.get("Tags"))
        ]
    return found


def find_load_balancers(clients: Clients, scope: Scope) -> list[Item]:
    """Load balancers with their listeners."""
    pages = clients.elbv2.get_paginator("describe_load_balancers").paginate()
    names = {item["LoadBalancerArn"]: item["LoadBalancerName"] for page in pages for item in page["LoadBalancers"]}
    return _owned_arns(clients, scope, names)


def remove_load_balancer(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete a load balancer, protected or not."""
    clients.elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=item.id, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
    )
    clients.elbv2.delete_load_balancer(LoadBalancerArn=item.id)


def find_target_groups(clients: Clients, scope: Scope) -> list[Item]:
    """Target groups."""
    pages = clients.elbv2.get_paginator("describe_target_groups").paginate()
    names = {item["TargetGroupArn"]: item["TargetGroupName"] for page in pages for item in page["TargetGroups"]}
    return _owned_arns(clients, scope, names)


def find_certificates(clients: Clients, scope: Scope) -> list[Item]:
    """ACM certificates."""
    pages = clients.acm.get_paginator("list_certificates").paginate(Includes={"keyTypes": KEY_TYPES})
    return [
        Item(item["CertificateArn"], item["DomainName"])
        for page in pages
        for item in page["CertificateSummaryList"]
        if scope.owns(clients.acm.list_tags_for_certificate(CertificateArn=item["CertificateArn"])["Tags"])
    ]


def find_zones(clients: Clients, scope: Scope) -> list[Item]:
    """Hosted zones."""
    found = []
    for page in clients.route53.get_paginator("list_hosted_zones").paginate():
        for zone in page["HostedZones"]:
            identifier = zone["Id"].rpartition("/")[2]
            answer = clients.route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=identifier)
            if scope.owns(answer["ResourceTagSet"]["Tags"]):
                found.append(Item(identifier, zone["Name"]))
    return found


def remove_zone(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete the record sets of a zone, then the zone; its own NS and SOA go with it."""
    for page in clients.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=item.id):
        changes: list[Any] = [
            {"Action": "DELETE", "ResourceRecordSet": record}
            for record in page["ResourceRecordSets"]
            if record["Type"] not in ("NS", "SOA") or record["Name"] != item.name
        ]
        if changes:
            clients.route53.change_resource_record_sets(HostedZoneId=item.id, ChangeBatch={"Changes": changes})
    clients.route53.delete_hosted_zone(Id=item.id)


def find_buckets(clients: Clients, scope: Scope) -> list[Item]:
    """S3 buckets."""
    found = []
    for bucket in clients.s3.list_buckets()["Buckets"]:
        try:
            tags = tag_map(clients.s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"])
        except ClientError as error:
            # Not ours either way: no tags, gone meanwhile, or not ours to look at.
            if error.response["Error"]["Code"] not in ("NoSuchTagSet", "NoSuchBucket", "AccessDenied"):
                raise
            continue
        if scope.owns(tags):
            found.append(Item(bucket["Name"]))
    return found


def remove_bucket(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete all versions of all objects of a bucket, then the bucket; its policy goes first, lest it deny that."""
    clients.s3.delete_bucket_policy(Bucket=item.id)
    for page in clients.s3.get_paginator("list_object_versions").paginate(Bucket=item.id):
        objects: list[Any] = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if objects:
            clients.s3.delete_objects(Bucket=item.id, Delete={"Objects": objects, "Quiet": True})
    clients.s3.delete_bucket(Bucket=item.id)


KINDS = (
    Kind("Load balancer", find_load_balancers, remove_load_balancer),
    Kind(
        "Target group",
        find_target_groups,
        lambda clients, _scope, item: clients.elbv2.delete_target_group(TargetGroupArn=item.id),
    ),
    Kind(
        "ACM certificate",
        find_certificates,
        lambda clients, _scope, item: clients.acm.delete_certificate(CertificateArn=item.id),
    ),
    Kind("Hosted zone", find_zones, remove_zone),
    Kind("S3 bucket", find_buckets, remove_bucket),
)
