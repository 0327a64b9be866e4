"""Which packages the stand-in's repository offers, and which count as installed from the start."""

from __future__ import annotations

from dataclasses import dataclass

RELEASE = "1.lab"


@dataclass(frozen=True)
class Package:
    """One RPM of the repository.

    `name` is production's. Its files are `debian`'s (Debian package: path in it -> path on the host), over which
    the tree `lab/host_image/packages/<name>/` is laid. `version` is needed when there is no Debian package.
    """

    name: str
    summary: str
    version: str = ""
    debian: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    """Folders it owns: path, and mode with owner and group as `0750 chrony chrony`."""
    user: str = ""
    """System user, with a group of the same name, made before the files are laid."""
    requires: tuple[str, ...] = ()
    in_centos: bool = True
    """Whether CentOS 7 or EPEL has the real one."""


def _same(*paths: str) -> tuple[tuple[str, str], ...]:
    return tuple((path, path) for path in paths)


OFFERED = (
    Package(
        name="nginx",
        summary="Web server (Debian's build with CentOS's paths)",
        debian=(
            ("nginx-core", _same("/usr/sbin/nginx")),
            ("nginx-common", _same("/etc/nginx/mime.types", "/etc/nginx/fastcgi_params", "/etc/nginx/uwsgi_params")),
        ),
        folders=(
            ("/etc/nginx/conf.d", "0755 root root"),
            ("/etc/nginx/default.d", "0755 root root"),
            ("/usr/share/nginx/html", "0755 root root"),
            ("/var/lib/nginx", "0770 nginx root"),
            ("/var/log/nginx", "0711 root root"),
        ),
        user="nginx",
    ),
    Package(
        name="chrony",
        summary="Time service (Debian's build with CentOS's paths)",
        debian=(
            ("chrony", (("/usr/sbin/chronyd", "/usr/libexec/lab/chronyd"), ("/usr/bin/chronyc", "/usr/bin/chronyc"))),
        ),
        folders=(("/var/lib/chrony", "0750 chrony chrony"), ("/var/log/chrony", "0750 chrony chrony")),
        user="chrony",
    ),
    Package(
        name="stunnel",
        summary="TLS wrapper (Debian's build)",
        debian=(("stunnel4", (("/usr/bin/stunnel4", "/usr/bin/stunnel"),)),),
        folders=(("/etc/stunnel", "0755 root root"),),
    ),
    Package(
        name="amazon-efs-utils",
        version="1.36.0",
        summary="Stand-in for Amazon's mount helper for EFS",
        folders=(
            ("/etc/amazon/efs", "0755 root root"),
            ("/var/log/amazon/efs", "0755 root root"),
        ),
        requires=("stunnel",),
        in_centos=False,
    ),
    Package(
        name="amazon-cloudwatch-agent",
        version="1.247358.0b252413",
        summary="Stand-in for the Amazon CloudWatch agent",
        folders=(
            ("/opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.d", "0755 root root"),
            ("/opt/aws/amazon-cloudwatch-agent/logs", "0755 root root"),
            ("/opt/aws/amazon-cloudwatch-agent/logs/state", "0755 root root"),
            ("/opt/aws/amazon-cloudwatch-agent/var", "0755 root root"),
        ),
        user="cwagent",
        in_centos=False,
    ),
    Package(
        name="audit",
        summary="Audit daemon and its tools (Debian's build); a container has no audit system of its own to run it on",
        debian=(
            (
                "auditd",
                (
                    *_same("/sbin/auditd", "/sbin/auditctl", "/sbin/augenrules", "/sbin/ausearch", "/sbin/aureport"),
                    ("/etc/audit/auditd.conf", "/etc/audit/auditd.conf"),
                ),
            ),
        ),
        folders=(
            ("/etc/audit/rules.d", "0750 root root"),
            ("/etc/audit/plugins.d", "0750 root root"),
            ("/var/log/audit", "0700 root root"),
        ),
    ),
    Package(
        name="firewalld",
        summary="Firewall daemon and its tools (Debian's build)",
        debian=(
            (
                "firewalld",
                (
                    *_same("/usr/sbin/firewalld", "/usr/bin/firewall-cmd", "/usr/bin/firewall-offline-cmd"),
                    *_same("/etc/firewalld/firewalld.conf", "/usr/lib/firewalld"),
                    *_same("/usr/share/dbus-1/system.d/FirewallD.conf"),
                ),
            ),
            ("python3-firewall", _same("/usr/lib/python3/dist-packages/firewall")),
        ),
        folders=(("/etc/firewalld", "0750 root root"), ("/etc/firewalld/zones", "0750 root root")),
    ),
    Package(
        name="nfs-utils",
        version="1.3.0",
        summary="Stand-in for the NFS client, which finds the rehearsal's file systems by the names of EFS",
    ),
    Package(
        name="yum-plugin-versionlock",
        version="1.1.31",
        summary="Stand-in for yum's versionlock plugin: a dnf plugin that obeys the same list",
        folders=(("/etc/yum/pluginconf.d", "0755 root root"),),
    ),
)

# CentOS package name -> Debian package that does its work in the base image. They are in the RPM database from the
# start, as they are in CentOS's cloud image, so that a role that asks for them finds them.
INSTALLED = {
    "bash": "bash",
    "ca-certificates": "ca-certificates",
    "centos-release": "base-files",
    "cloud-init": "cloud-init",
    "coreutils": "coreutils",
    "cronie": "cron",
    "curl": "curl",
    "dbus": "dbus",
    "glibc": "libc6",
    "glibc-common": "locales",
    "gnupg2": "gnupg",
    "iproute": "iproute2",
    "libselinux-python": "libselinux1",
    "logrotate": "logrotate",
    "lsof": "lsof",
    "openssh": "openssh-client",
    "openssh-clients": "openssh-client",
    "openssh-server": "openssh-server",
    "openssl": "openssl",
    "pam": "libpam-modules",
    "policycoreutils-python": "libselinux1",
    "procps-ng": "procps",
    "psmisc": "psmisc",
    "python": "python2.7",
    "python-libs": "libpython2.7-stdlib",
    "python3": "python3",
    "rpm": "rpm",
    "rsyslog": "rsyslog",
    "sudo": "sudo",
    "systemd": "systemd",
    "tar": "tar",
    "tzdata": "tzdata",
    "unzip": "unzip",
    "util-linux": "util-linux",
    "xz": "xz-utils",
    "yum": "dnf",
    "yum-utils": "dnf",
    "zip": "zip",
}

# What others may require of them beside their names.
PROVIDES = {
    "bash": ("/bin/sh", "/bin/bash"),
    "centos-release": ("system-release = 7", "system-release(releasever) = 7"),
    "yum": ("dnf",),
}
