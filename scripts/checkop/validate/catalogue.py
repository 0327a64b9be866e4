"""All variables of an inventory and what each may hold; a name that is not here is a slip of the pen.

Limits are those of the AWS API Reference of the service in question. What has to fit together is checked elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.validate.kinds import (
    PRINTABLE,
    Amount,
    Anything,
    Choice,
    Cidr,
    Flag,
    Items,
    Number,
    Port,
    Record,
    Setting,
    Table,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checkop.validate.kinds import Kind

TEXT = Text()
ANY_TEXT = Text(f"{PRINTABLE}*", "text without line breaks, or nothing")
# Accounts that CentOS 7 and its packages bring, and groups that mean privileges (setup and the packages' scriptlets).
SYSTEM_USERS = (
    "root|bin|daemon|adm|lp|sync|shutdown|halt|mail|operator|games|ftp|nobody|systemd-network|dbus|polkitd|sshd|postfix"
    "|chrony|rpc|rpcuser|nfsnobody|nginx|centos|cwagent|wheel|sys|disk|kmem|mem|tty|systemd-journal|docker"
)
# useradd(8) of CentOS 7: lower-case letters, digits, hyphens and underscores, 32 characters at most.
APPLICATION_USER = Text(
    rf"(?!(?:{SYSTEM_USERS})\Z)[a-z_][a-z0-9_-]{{0,31}}",
    "a user of its own, 1 to 32 of a-z, 0-9, _ and -, and none of CentOS 7's own accounts",
)
# What the loader, the shell or the unit would read as its own.
SETTING_NAME = Text(
    r"(?!(?:LD_|PYTHON|BASH_|CHECKOP_|SYSTEMD_)|(?:PATH|HOME|USER|LOGNAME|SHELL|IFS|ENV|NOTIFY_SOCKET|LISTEN_FDS"
    r"|LISTEN_PID|MAINPID)\Z)[A-Za-z_][A-Za-z0-9_]*",
    "a POSIX name that neither the loader, the interpreter nor the unit owns",
)
NAMES = Items(TEXT)
ZONE = Text(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "an availability zone, for example us-east-1a")
REGION = Text(r"[a-z]{2}(-[a-z]+)+-\d", "a region, for example us-east-1")
ACCOUNT = Text(r"\d{12}", "an AWS account id: twelve digits, in quotes")
INSTANCE_TYPE = Text(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an EC2 instance type, for example t3.xlarge")
PATH = Text(r"/.*", "a path that starts with /")
TIER = Choice(("public", "data"))
PROTOCOL = Choice(("tcp", "udp", "icmp", "all"))
PERCENT = Number(0, 100)
SECONDS = Number(0)
TCP_PORT = Number(1, 65535)
VOLUME_TYPE = Choice(("gp3", "gp2", "io1", "io2"))
DOMAIN = Text(r"(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+[A-Za-z]{2,}\.?", "a domain name")
IAM_NAME = Text(r"[\w+=,.@-]{1,64}", "1 to 64 letters, digits and +=,.@_-")
ELB_NAME = Text(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?", "1 to 32 letters, digits and hyphens")
BUCKET = Text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket's name: 3 to 63 of a-z, 0-9, dot and hyphen")
SHA256 = Text(r"([0-9a-f]{64})?", "64 hexadecimal digits, or nothing")
PUBLIC_KEY = Text(
    r"(?s)(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/]+={0,2}( .*)?\s*", "an OpenSSH public key of type ssh-ed25519 or ssh-rsa"
)
# PutRetentionPolicy of CloudWatch Logs.
RETENTION = Choice(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
)
# IpRange of EC2.
DESCRIPTION = Text(
    r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}", "1 to 255 letters, digits, blanks and ._-:/()#,@[]+=&;{}!$*"
)
FLOWS = Items(Record({"from": TEXT, "to": TEXT, "protocol": PROTOCOL}, {"port": Port()}))
RULE: Mapping[str, Kind] = {"protocol": PROTOCOL, "description": DESCRIPTION}
# 32767 is AWS's own last rule.
ACL_RULES = Items(
    Record(
        {
            "rule": Number(1, 32766),
            "action": Choice(("allow", "deny")),
            "protocol": PROTOCOL,
            "cidr": Cidr(),
        },
        {"ports": Port()},
    )
)
CRON = Text(
    r"(@(yearly|annually|monthly|weekly|daily|hourly)|(\S+\s+){4}\S+)", "five cron fields, for example '0 6 * * *'"
)

ACCOUNT_VARIABLES: Mapping[str, Kind] = {
    "checkop_environment": Text(r"[a-z][a-z0-9-]{0,30}", "a short name of a-z, 0-9 and hyphens"),
    "checkop_name_suffix": Text(r"(-[a-z0-9-]{1,15})?", "nothing, or a hyphen and up to 15 of a-z, 0-9 and hyphens"),
    "aws_account_id": ACCOUNT,
    "aws_region": REGION,
    "aws_endpoint_url": Text(r"(https?://.+)?", "nothing (AWS itself), or a URL"),
    "aws_tags": Table(TEXT),
    "ssm_prefix": Text(r"/[\w.-]+(/[\w.-]+)*", "a path that starts with / and does not end with it"),
}

NETWORK_VARIABLES: Mapping[str, Kind] = {
    "network_name": Text(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}", "up to 41 letters, digits and hyphens"),
    # CreateVpc and CreateSubnet: a netmask between /16 and /28.
    "network_cidr": Cidr(16, 28),
    "network_subnets": Items(Record({"name": TEXT, "tier": TIER, "zone": ZONE, "cidr": Cidr(16, 28)}), least=1),
    "network_gateway_endpoints": Items(Choice(("s3", "dynamodb"))),
    "network_interface_endpoints": NAMES,
    "network_flow_logs_enabled": Flag(),
    "network_flow_logs_retention_days": RETENTION,
}

PERIMETER_VARIABLES: Mapping[str, Kind] = {
    # Shorter than /8 would be a good part of the internet.
    "perimeter_administrator_cidrs": Items(Cidr(8, 32)),
    "perimeter_security_groups": Items(
        Record(
            {
                "name": Text(r"[a-z][a-z0-9-]{0,30}", "a short name of a-z, 0-9 and hyphens"),
                "description": DESCRIPTION,
                "tier": TIER,
                "ingress": Items(Record({"from": TEXT, **RULE}, {"port": Port()})),
                "egress": Items(Record({"to": TEXT, **RULE}, {"port": Port()})),
            }
        ),
        least=1,
    ),
    "perimeter_network_acls": Items(
        Record({"name": TEXT, "tier": TIER, "ingress": ACL_RULES, "egress": ACL_RULES}), least=1
    ),
    "perimeter_subnet_cidrs": Table(Cidr()),
    "perimeter_wanted_flows": FLOWS,
    "perimeter_forbidden_flows": FLOWS,
}

STORAGE_VARIABLES: Mapping[str, Kind] = {
    "storage_name": TEXT,
    "storage_mount_path": PATH,
    "storage_throughput_mode": Choice(("bursting", "elastic")),
    "storage_transition_to_ia": Text(r"(AFTER_\d+_DAYS?)?", "nothing, or AFTER_30_DAYS and the like"),
    "storage_transition_to_primary": Choice(("", "AFTER_1_ACCESS")),
    "storage_backup_enabled": Flag(),
    "storage_wait_seconds": SECONDS,
    "storage_alarm_bytes": Number(1),
    "storage_access_point_path": PATH,
    "storage_owner_uid": Number(0, 4294967295),
    "storage_owner_gid": Number(0, 4294967295),
    "storage_folders": Items(
        Record({"name": Text(r"[a-z0-9][a-z0-9_-]*", "a folder's name, without a slash"), "keep_days": Number(1)})
    ),
}

DATABASE_VARIABLES: Mapping[str, Kind] = {
    "database_identifier": Text(
        r"[A-Za-z](?!.*--)[A-Za-z0-9-]{0,61}[A-Za-z0-9]", "2 to 63 letters, digits and single hyphens"
    ),
    "database_engine": Choice(("mysql",)),
    "database_engine_version": TEXT,
    "database_parameter_group_family": TEXT,
    "database_instance_class": Text(r"db\.[a-z0-9-]+\.[a-z0-9-]+", "a DB instance class, for example db.r5.xlarge"),
    "database_zone": ZONE,
    "database_multi_az": Flag(),
    "database_storage_type": Choice(("gp2", "gp3", "io1", "io2")),
    "database_allocated_storage_gb": Number(20, 65536),
    "database_max_allocated_storage_gb": Number(20, 65536),
    # 0 would switch backups off.
    "database_backup_retention_days": Number(1, 35),
    "database_backup_window": Text(r"\d\d:\d\d-\d\d:\d\d", "hh:mm-hh:mm in UTC"),
    "database_maintenance_window": Text(
        r"(?i)(mon|tue|wed|thu|fri|sat|sun):\d\d:\d\d-(mon|tue|wed|thu|fri|sat|sun):\d\d:\d\d",
        "ddd:hh:mm-ddd:hh:mm in UTC",
    ),
    "database_deletion_protection": Flag(),
    "database_log_exports": Items(Choice(("audit", "error", "general", "slowquery"))),
    "database_port": Number(1150, 65535),
    "database_schema": Text(r"[A-Za-z]\w{0,63}", "up to 64 letters, digits and underscores"),
    "database_username": Text(r"(?!(?i:rdsadmin)$)[A-Za-z]\w{0,15}", "up to 16 letters, digits and underscores"),
    "database_secret_name": Text(r"[\w/+=.@-]{1,512}", "letters, digits and /_+=.@-"),
    "database_apply_immediately": Flag(),
    "database_wait_seconds": SECONDS,
    "database_ca_file": PATH,
    "database_parameters": Table(TEXT),
}

BALANCER_VARIABLES: Mapping[str, Kind] = {
    "balancer_name": ELB_NAME,
    "balancer_target_group": ELB_NAME,
    "balancer_target_port": TCP_PORT,
    "balancer_health_path": PATH,
    "balancer_health_interval_seconds": Number(5, 300),
    "balancer_health_timeout_seconds": Number(2, 120),
    "balancer_health_healthy_count": Number(2, 10),
    "balancer_health_unhealthy_count": Number(2, 10),
    "balancer_deregistration_delay_seconds": Number(0, 3600),
    "balancer_slow_start_seconds": Number(30, 900, also=0),
    "balancer_idle_timeout_seconds": Number(1, 4000),
    "balancer_deletion_protection": Flag(),
    "balancer_wait_seconds": SECONDS,
    "balancer_ssl_policy": Text(r"ELBSecurityPolicy-[A-Za-z0-9-]+", "a security policy of Elastic Load Balancing"),
    "balancer_certificate_domains": Items(DOMAIN, least=1),
    "balancer_certificate_file": ANY_TEXT,
    "balancer_certificate_key_file": ANY_TEXT,
    "balancer_certificate_wait_seconds": SECONDS,
    "balancer_access_logs_bucket": BUCKET,
    "balancer_access_logs_retention_days": Number(1),
    "balancer_resolve": Table(TEXT),
    "balancer_ca_file": ANY_TEXT,
}

FLEET_VARIABLES: Mapping[str, Kind] = {
    "fleet_name": Text(r"[A-Za-z0-9()./_-]{3,125}", "3 to 125 letters, digits and ()./_-"),
    "fleet_instance_type": INSTANCE_TYPE,
    "fleet_zones": Items(ZONE, least=1),
    "fleet_min_size": Number(0),
    "fleet_desired_size": Number(0),
    "fleet_max_size": Number(1),
    "fleet_root_device": Text(r"/dev/\w+", "a device, for example /dev/sda1"),
    "fleet_root_volume_gb": Number(8, 16384),
    "fleet_root_volume_type": VOLUME_TYPE,
    "fleet_health_check_grace_seconds": SECONDS,
    "fleet_warmup_seconds": SECONDS,
    # PutLifecycleHook: 30 seconds to two hours.
    "fleet_drain_timeout_seconds": Number(30, 7200),
    "fleet_drain_poll_seconds": Number(1, 60),
    "fleet_drain_settle_seconds": Number(0, 60),
    "fleet_target_cpu_percent": Number(1, 100),
    "fleet_schedule_time_zone": Text(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", "an IANA time zone, for example America/Bogota"),
    "fleet_scheduled_actions": Items(
        Record(
            {"name": TEXT, "recurrence": CRON, "min_size": Number(0), "desired_size": Number(0), "max_size": Number(1)}
        )
    ),
    "fleet_key_name": Text(r"[ -~]{1,255}", "up to 255 ASCII characters"),
    "fleet_public_key": PUBLIC_KEY,
    "fleet_role_name": IAM_NAME,
    "fleet_drain_hook_name": Text(r"[A-Za-z0-9_/-]{1,255}", "letters, digits and _/-"),
    "fleet_metrics": Items(Text(r"Group\w+", "a metric of an Auto Scaling group")),
    "fleet_termination_policies": Items(
        Choice(
            (
                "Default",
                "AllocationStrategy",
                "OldestLaunchTemplate",
                "OldestLaunchConfiguration",
                "ClosestToNextInstanceHour",
                "NewestInstance",
                "OldestInstance",
            )
        ),
        least=1,
    ),
    "fleet_maintenance_min_healthy_percent": PERCENT,
    "fleet_maintenance_max_healthy_percent": Number(100, 200),
}

HUB_VARIABLES: Mapping[str, Kind] = {
    "hub_name": TEXT,
    "hub_instance_type": INSTANCE_TYPE,
    "hub_zone": ZONE,
    "hub_root_volume_gb": Number(8, 16384),
    "hub_root_volume_type": VOLUME_TYPE,
    "hub_role_name": IAM_NAME,
    "hub_termination_protection": Flag(),
}

DNS_VARIABLES: Mapping[str, Kind] = {
    "dns_zone": DOMAIN,
    "dns_zone_id": Text(r"[A-Z0-9]{0,32}", "nothing, or the id of a hosted zone, for example Z0123456789ABC"),
    "dns_purge": Flag(),
    "dns_records": Items(
        Record(
            {
                "name": DOMAIN,
                "type": Choice(("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT")),
            },
            {"alias": Choice(("balancer",)), "ttl": Number(0, 2147483647), "values": NAMES},
        ),
        least=1,
    ),
}

IMAGE_VARIABLES: Mapping[str, Kind] = {
    "image_name_prefix": Text(r"[A-Za-z0-9()./_' @\[\]-]{3,100}", "3 to 100 letters, digits and ()./_' @[]-"),
    "image_source_id": Text(r"(ami-[0-9a-f]+)?", "nothing, or the id of an image, for example ami-0123456789abcdef0"),
    "image_source_owner": Text(r"\d{12}|amazon|aws-marketplace|self", "an account id, amazon, aws-marketplace or self"),
    "image_source_name": TEXT,
    "image_instance_type": INSTANCE_TYPE,
    "image_ssh_username": TEXT,
    "image_keep": Number(1),
    "image_kms_key_id": Text(
        r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+)?", "nothing, or the ARN of a KMS key"
    ),
    "image_copy_regions": Items(REGION),
    "image_share_accounts": Items(ACCOUNT),
    "image_manifest_bucket": BUCKET,
    "image_gate_timeout_seconds": SECONDS,
    "image_prune_wait_days": Number(0),
}

# MetricFilter of CloudWatch Logs.
METRIC_FILTER = Record(
    {"name": Text(r"[^:*]{1,512}", "text without : and *"), "log_group": TEXT, "pattern": ANY_TEXT, "metric": TEXT}
)
# PutMetricAlarm of CloudWatch.
ALARM = Record(
    {
        "name": Text(r"[A-Za-z0-9][A-Za-z0-9-]*", "letters, digits and hyphens"),
        "description": TEXT,
        "namespace": TEXT,
        "metric": TEXT,
        "dimensions": Table(TEXT),
        "statistic": Text(
            r"Sum|Average|Minimum|Maximum|SampleCount|p\d{1,2}(\.\d{1,2})?|p100",
            "Sum, Average, Minimum, Maximum, SampleCount, or a percentile such as p99",
        ),
        "comparison": Choice((">", ">=", "<", "<=")),
        "threshold": Amount(),
        "period_seconds": Number(10, 86400),
        "periods": Number(1),
        "datapoints": Number(1),
    },
    {"missing_data": Choice(("notBreaching", "breaching", "ignore", "missing"))},
)

MONITORING_VARIABLES: Mapping[str, Kind] = {
    "monitoring_namespace": Text(r"(?!AWS/)[\w./#-]{1,255}", "letters, digits and ._-/#, not starting with AWS/"),
    "monitoring_topic": Text(r"[\w-]{1,256}", "letters, digits, - and _"),
    "monitoring_subscribers": Items(Text(r"[^@\s]+@[^@\s]+", "a mail address")),
    "monitoring_console_group": Text(r"[\w+=,.@-]{1,128}", "1 to 128 letters, digits and +=,.@_-"),
    "monitoring_dashboard": Text(r"[\w-]{1,255}", "letters, digits, - and _"),
    "monitoring_log_prefix": Text(r"/[\w./#-]*[\w.#-]", "a path that starts with / and does not end with it"),
    "monitoring_log_groups": Items(Record({"name": TEXT, "retention_days": RETENTION})),
    "monitoring_log_files": Items(
        Record(
            {"path": Text(r"/\S+", "an absolute path"), "log_group": TEXT},
            {"timestamp_format": TEXT, "timezone": Choice(("LOCAL", "UTC")), "multi_line_start_pattern": TEXT},
        )
    ),
    "monitoring_interval_seconds": Number(1, 3600),
    "monitoring_flush_seconds": Number(1, 3600),
    "monitoring_metric_filters": Items(METRIC_FILTER),
    "monitoring_alarm_prefix": ANY_TEXT,
    "monitoring_alarms": Items(ALARM, least=1),
    "monitoring_rollout_alarms": NAMES,
    "monitoring_dashboard_log_groups": NAMES,
}

ROLLOUT_VARIABLES: Mapping[str, Kind] = {
    "rollout_min_healthy_percent": PERCENT,
    "rollout_max_healthy_percent": Number(100, 200),
    "rollout_checkpoints": Items(Number(1, 100), least=1),
    "rollout_checkpoint_delay_seconds": Number(0, 172800),
    "rollout_soak_seconds": SECONDS,
    "rollout_timeout_seconds": Number(1),
    "rollout_step_timeout_seconds": Number(1),
    "rollout_poll_seconds": Amount(0.1),
    "rollout_auto_rollback": Flag(),
    "rollout_skip_matching": Flag(),
    "rollout_pause": Choice(("automatic", "manual")),
    "rollout_pause_limit_seconds": SECONDS,
    "rollout_strategy": Choice(("rolling", "blue_green")),
    "rollout_weights": Items(Number(1, 100), least=1),
    "rollout_hold_seconds": SECONDS,
    "rollout_check_host": DOMAIN,
    "rollout_check_paths": Items(PATH, least=1),
    "rollout_check_requests": Number(1),
    "rollout_check_timeout_seconds": SECONDS,
    "rollout_freeze": Record({}, {"reason": TEXT, "until": Anything()}),
    "rollout_window": Number(1),
    "rollout_instance_hour_usd": Amount(),
    "rollout_settings": Table(Anything()),
}

APPLICATION_VARIABLES: Mapping[str, Kind] = {
    "application_version": ANY_TEXT,
    "application_archive": ANY_TEXT,
    "application_archive_sha256": SHA256,
    "application_command": Items(TEXT, least=1),
    "application_user": APPLICATION_USER,
    # Below 1000 are the system's own (login.defs of CentOS 7).
    "application_uid": Number(1000, 60000),
    "application_port": TCP_PORT,
    "application_log_level": Choice(("debug", "info", "warning", "error")),
    "application_settings": Table(Setting(), SETTING_NAME),
}

HOST_VARIABLES: Mapping[str, Kind] = {
    "host_package_manager": Choice(("yum", "dnf")),
    "host_package_interpreter": PATH,
    "host_package_repositories": Items(
        Record({"name": TEXT, "description": TEXT, "baseurl": TEXT, "gpgkey": TEXT}), least=1
    ),
    "host_package_bucket": BUCKET,
    "host_package_keys": Items(Anything()),
    "host_package_versions": Table(TEXT),
    "host_security_updates": Flag(),
    "host_time_zone": Text(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", "an IANA time zone, for example America/Bogota"),
    "host_locale": TEXT,
    "host_time_servers": Items(TEXT, least=1),
    "host_administrators": Items(Anything()),
    "host_administrators_absent": NAMES,
    "host_ssh_tcp_forwarding": Flag(),
    "host_aws_endpoint_url": ANY_TEXT,
    "host_metadata_endpoint": ANY_TEXT,
}

VARIABLES: Mapping[str, Kind] = {
    **ACCOUNT_VARIABLES,
    **NETWORK_VARIABLES,
    **PERIMETER_VARIABLES,
    **STORAGE_VARIABLES,
    **DATABASE_VARIABLES,
    **BALANCER_VARIABLES,
    **FLEET_VARIABLES,
    **HUB_VARIABLES,
    **DNS_VARIABLES,
    **IMAGE_VARIABLES,
    **MONITORING_VARIABLES,
    **ROLLOUT_VARIABLES,
    **APPLICATION_VARIABLES,
    **HOST_VARIABLES,
}
