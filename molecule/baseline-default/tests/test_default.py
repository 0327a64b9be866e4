import re


def sshd(host):
    """Return what sshd makes of its configuration."""
    return dict(line.split(" ", 1) for line in host.check_output("/usr/sbin/sshd -T").splitlines() if " " in line)


def test_sshd_runs_with_the_hardened_settings(host):
    assert host.service("sshd").is_running
    assert host.socket("tcp://0.0.0.0:22").is_listening
    settings = sshd(host)
    assert settings["permitrootlogin"] == "no"
    assert settings["passwordauthentication"] == "no"
    assert settings["maxauthtries"] == "4"
    assert settings["allowtcpforwarding"] == "no"
    assert not re.search("cbc|arcfour|3des", settings["ciphers"])
    assert "sha1" not in settings["macs"] + settings["kexalgorithms"]


def test_packages_come_from_the_given_repositories_alone_and_signed(host):
    assert host.check_output("grep -l '^\\[' /etc/yum.repos.d/*") == "/etc/yum.repos.d/checkop.repo"
    # An update of centos-release brings back what it does not find.
    assert host.file("/etc/yum.repos.d/CentOS-Base.repo").size > 0
    assert "gpgcheck=1" in host.file("/etc/yum.repos.d/checkop.repo").content_string
    assert host.package("chrony").is_installed


def test_services_run_and_start_at_boot(host):
    for name in ("crond", "rsyslog", "sshd"):
        assert host.service(name).is_running, name
    for name in ("auditd", "chronyd", "crond", "firewalld", "rsyslog", "sshd"):
        assert host.service(name).is_enabled, name


def test_nothing_can_start_rpcbind(host):
    assert host.run("systemctl is-enabled rpcbind.socket rpcbind.service").stdout.split() == ["masked", "masked"]
    assert host.run("systemctl start rpcbind.socket").rc != 0


def test_the_journal_is_on_disk(host):
    assert "/var/log/journal/" in host.check_output("journalctl --header | grep 'File path'")


def test_time_and_language(host):
    assert host.check_output("date +%Z") == "UTC"
    assert host.check_output(". /etc/locale.conf; echo $LANG") == "en_US.UTF-8"
    assert "server 169.254.169.123 prefer" in host.file("/etc/chrony.conf").content_string


def test_every_kernel_setting_exists(host):
    lines = host.file("/etc/sysctl.d/60-checkop.conf").content_string.splitlines()
    names = [line.split(" = ")[0] for line in lines if not line.startswith("#")]
    assert len(names) > 20
    paths = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in names)
    host.check_output(f"ls {paths}")


def test_a_login_shell_is_private_and_ends(host):
    assert host.check_output("bash -lc 'umask'") == "0027"
    assert host.run("bash -lc 'TMOUT=0'").rc != 0
    assert host.check_output("bash -lc 'echo $TMOUT'") == "900"


def test_limits_hold_for_a_new_session(host):
    assert host.check_output("su -s /bin/bash nobody -c 'ulimit -c'") == "0"


def test_commands_of_sudo_are_logged(host):
    host.check_output("sudo -n true")
    assert "COMMAND=" in host.file("/var/log/sudo.log").content_string


def test_the_firewall_s_zone_lets_in_what_it_should(host):
    assert host.check_output("firewall-offline-cmd --zone=public --list-ports").split() == ["22/tcp", "80/tcp"]


def test_the_updates_were_taken(host):
    assert host.check_output("ls /var/lib/checkop").startswith("updated-")


def test_only_root_schedules(host):
    assert host.file("/etc/cron.allow").content_string.strip() == "root"
    assert host.file("/etc/cron.d").mode == 0o700
