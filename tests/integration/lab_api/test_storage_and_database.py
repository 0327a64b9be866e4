"""EFS, RDS and certificates."""

import json

import pytest
from botocore.exceptions import ClientError

from lab.api import Endpoint


def file_system(world):
    tags = [{"Key": "Name", "Value": "ChOp-Temp"}]
    return world.efs.create_file_system(CreationToken="chop", Encrypted=True, Tags=tags)["FileSystemId"]


def test_a_file_system_keeps_its_tags_policies_and_size(world):
    network = world.network()
    identifier = file_system(world)
    world.efs.create_mount_target(
        FileSystemId=identifier,
        SubnetId=network.subnets["us-east-1a"],
        SecurityGroups=[network.security_group],
    )
    point = world.efs.create_access_point(
        ClientToken="p",
        FileSystemId=identifier,
        PosixUser={"Uid": 5000, "Gid": 5000},
        RootDirectory={
            "Path": "/chop-temp",
            "CreationInfo": {"OwnerUid": 5000, "OwnerGid": 5000, "Permissions": "0750"},
        },
    )
    world.efs.create_tags(FileSystemId=identifier, Tags=[{"Key": "a", "Value": "1"}])
    arn = world.efs.describe_file_systems()["FileSystems"][0]["FileSystemArn"]
    world.efs.tag_resource(ResourceId=identifier, Tags=[{"Key": "b", "Value": "2"}])
    world.efs.untag_resource(ResourceId=identifier, TagKeys=["a"])
    expected = [{"Key": "Name", "Value": "ChOp-Temp"}, {"Key": "b", "Value": "2"}]
    assert world.efs.describe_tags(FileSystemId=identifier)["Tags"] == expected
    assert world.efs.list_tags_for_resource(ResourceId=arn)["Tags"] == expected
    assert world.efs.list_tags_for_resource(ResourceId=point["AccessPointArn"])["Tags"] == []

    assert world.efs.describe_backup_policy(FileSystemId=identifier)["BackupPolicy"]["Status"] == "DISABLED"
    world.efs.put_backup_policy(FileSystemId=identifier, BackupPolicy={"Status": "ENABLED"})
    assert world.efs.describe_backup_policy(FileSystemId=identifier)["BackupPolicy"]["Status"] == "ENABLED"

    with pytest.raises(ClientError, match="PolicyNotFound"):
        world.efs.describe_file_system_policy(FileSystemId=identifier)
    policy = {"Version": "2012-10-17", "Statement": []}
    world.efs.put_file_system_policy(FileSystemId=identifier, Policy=json.dumps(policy))
    assert json.loads(world.efs.describe_file_system_policy(FileSystemId=identifier)["Policy"]) == policy

    lifecycle = [{"TransitionToIA": "AFTER_30_DAYS"}, {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"}]
    world.efs.put_lifecycle_configuration(FileSystemId=identifier, LifecyclePolicies=lifecycle)
    assert world.efs.describe_lifecycle_configuration(FileSystemId=identifier)["LifecyclePolicies"] == lifecycle

    world.efs.update_file_system(FileSystemId=identifier, ThroughputMode="elastic")
    world.hooks.sizes[identifier] = 12345
    found = world.efs.describe_file_systems(FileSystemId=identifier)["FileSystems"][0]
    assert (found["ThroughputMode"], found["SizeInBytes"]["Value"], found["Encrypted"]) == ("elastic", 12345, True)

    view = world.cloud.file_systems()[0]
    assert (view.name, view.mount_targets[0].zone) == ("ChOp-Temp", "us-east-1a")
    assert view.access_points[0].path == "/chop-temp"
    assert (view.access_points[0].uid, view.access_points[0].creation_permissions) == (5000, "0750")


def test_a_denial_of_plain_http_does_not_apply_and_another_does(world):
    s3 = world.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="manifests")
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": "arn:aws:s3:::manifests/*"}
    without_tls = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}

    def apply(statement):
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        s3.put_bucket_policy(Bucket="manifests", Policy=json.dumps(policy))

    apply(without_tls)
    s3.put_object(Bucket="manifests", Key="one", Body=b"1")
    apply(deny)
    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket="manifests", Key="one", Body=b"2")
    s3.delete_bucket_policy(Bucket="manifests")
    assert s3.get_object(Bucket="manifests", Key="one")["Body"].read() == b"1"


def test_an_unknown_file_system_is_refused(world):
    with pytest.raises(ClientError, match="FileSystemNotFound"):
        world.efs.describe_tags(FileSystemId="fs-0")


def database(world, **options):
    network = world.network()
    world.rds.create_db_subnet_group(
        DBSubnetGroupName="db", DBSubnetGroupDescription="db", SubnetIds=list(network.subnets.values())
    )
    world.rds.create_db_parameter_group(DBParameterGroupName="db", DBParameterGroupFamily="mysql8.0", Description="db")
    values = {
        "DBInstanceIdentifier": "dbprogressus",
        "Engine": "mysql",
        "EngineVersion": "8.0",
        "DBInstanceClass": "db.r5.xlarge",
        "AllocatedStorage": 217,
        "MaxAllocatedStorage": 1000,
        "MasterUsername": "checkop",
        "MasterUserPassword": "very-secret",
        "DBName": "checkop",
        "Port": 3306,
        "DBSubnetGroupName": "db",
        "DBParameterGroupName": "db",
        "VpcSecurityGroupIds": [network.security_group],
        "StorageEncrypted": True,
        "DeletionProtection": True,
    }
    world.rds.create_db_instance(**{**values, **options})


def described(world):
    return world.rds.describe_db_instances(DBInstanceIdentifier="dbprogressus")["DBInstances"][0]


def test_a_database_is_available_when_it_answers(world):
    world.hooks.endpoints["dbprogressus"] = None
    database(world)
    world.tick()
    found = described(world)
    assert found["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in found
    view = world.cloud.databases()[0]
    assert (view.username, view.password, view.schema, view.port) == ("checkop", "very-secret", "checkop", 3306)
    assert "very-secret" not in repr(view)
    world.hooks.endpoints["dbprogressus"] = Endpoint("db.local", 43306)
    world.tick()
    found = described(world)
    assert found["DBInstanceStatus"] == "available"
    assert (found["Endpoint"]["Address"], found["Endpoint"]["Port"]) == ("db.local", 43306)
    assert found["EngineVersion"].startswith("8.0.")
    assert found["DBParameterGroups"][0]["DBParameterGroupName"] == "db"


def test_storage_grows_and_never_shrinks(world):
    database(world)
    world.tick()
    world.cloud.grow_database("dbprogressus", 300)
    assert described(world)["AllocatedStorage"] == 300
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        world.rds.modify_db_instance(DBInstanceIdentifier="dbprogressus", AllocatedStorage=217, ApplyImmediately=True)
    world.rds.modify_db_instance(
        DBInstanceIdentifier="dbprogressus", AllocatedStorage=400, MaxAllocatedStorage=900, ApplyImmediately=True
    )
    assert (described(world)["AllocatedStorage"], described(world)["MaxAllocatedStorage"]) == (400, 900)
    with pytest.raises(ValueError, match="between 400 and 900"):
        world.cloud.grow_database("dbprogressus", 1000)


def test_deleting_needs_protection_off_and_a_word_about_the_final_snapshot(world):
    database(world)
    world.tick()
    for options in ({"SkipFinalSnapshot": True}, {}):
        with pytest.raises(ClientError, match="InvalidParameterCombination"):
            world.rds.delete_db_instance(DBInstanceIdentifier="dbprogressus", **options)
    world.rds.modify_db_instance(DBInstanceIdentifier="dbprogressus", DeletionProtection=False)
    world.rds.delete_db_instance(DBInstanceIdentifier="dbprogressus", SkipFinalSnapshot=True)
    assert world.cloud.databases() == []


def test_parameters_are_the_engines_with_the_users_laid_over(world):
    database(world)
    wanted = {"require_secure_transport": "1", "long_query_time": "2"}
    world.rds.modify_db_parameter_group(
        DBParameterGroupName="db",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate"}
            for name, value in wanted.items()
        ],
    )
    pages = world.rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName="db")
    found = {p["ParameterName"]: p for page in pages for p in page["Parameters"]}
    assert {name: found[name]["ParameterValue"] for name in wanted} == wanted
    assert found["require_secure_transport"]["Source"] == "user"
    assert found["max_connections"]["Source"] == "system"
    assert world.cloud.databases()[0].parameters == wanted
    with pytest.raises(ClientError, match="Could not find parameter"):
        world.rds.modify_db_parameter_group(
            DBParameterGroupName="db",
            Parameters=[{"ParameterName": "nonsense", "ParameterValue": "1", "ApplyMethod": "immediate"}],
        )
    with pytest.raises(ClientError, match="static parameter"):
        world.rds.modify_db_parameter_group(
            DBParameterGroupName="db",
            Parameters=[{"ParameterName": "tls_version", "ParameterValue": "TLSv1.2", "ApplyMethod": "immediate"}],
        )
    world.rds.reset_db_parameter_group(DBParameterGroupName="db", ResetAllParameters=True)
    assert world.cloud.databases()[0].parameters == {}


def test_an_unknown_parameter_group_is_refused(world):
    with pytest.raises(ClientError, match="DBParameterGroupNotFound"):
        world.rds.describe_db_parameter_groups(DBParameterGroupName="nothing")


def test_an_imported_certificate_comes_with_its_key_and_keeps_its_tags(world, certificate):
    pem, key = certificate
    arn = world.acm.import_certificate(Certificate=pem, PrivateKey=key, Tags=[{"Key": "Name", "Value": "checkop.co"}])[
        "CertificateArn"
    ]
    found = world.cloud.certificates()[0]
    assert (found.arn, found.domain, found.chain) == (arn, "checkop.co", "")
    assert "PRIVATE KEY" in found.private_key
    world.acm.import_certificate(CertificateArn=arn, Certificate=pem, PrivateKey=key)
    assert world.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"][0]["Value"] == "checkop.co"
    assert len(world.cloud.certificates()) == 1
