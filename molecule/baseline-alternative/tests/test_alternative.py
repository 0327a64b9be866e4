def test_administrators_have_their_keys_and_no_others(host):
    for name in ("ana", "luis"):
        keys = host.file(f"/home/{name}/.ssh/authorized_keys").content_string.strip().splitlines()
        assert [key.split()[-1] for key in keys] == [name]


def test_only_the_administrator_with_sudo_becomes_root(host):
    assert host.check_output("su ana -c 'sudo -n id -u'") == "0"
    assert host.run("su luis -c 'sudo -n id -u'").rc != 0


def test_former_administrators_are_gone(host):
    assert not host.user("former").exists
    assert not host.file("/home/former").exists


def test_unwanted_packages_are_removed(host):
    assert not host.package("zip").is_installed


def test_the_lock_keeps_packages_where_they_are(host):
    lines = host.file("/etc/yum/pluginconf.d/versionlock.list").content_string.splitlines()
    assert "1:nginx-1.20.1-10.el7.*" in lines
    assert "0:kernel-3.10.0-1160.119.1.el7.*" in lines


def test_updates_are_left_alone(host):
    assert not host.file("/var/lib/checkop").exists


def test_ssh(host):
    settings = host.check_output("/usr/sbin/sshd -T").splitlines()
    for line in ("allowtcpforwarding yes", "maxauthtries 3", "clientaliveinterval 120"):
        assert line in settings
    assert host.service("sshd").is_running


def test_time_and_language(host):
    assert host.check_output("date +%z") == "-0500"
    assert host.check_output(". /etc/locale.conf; echo $LANG") == "C.UTF-8"
    chrony = host.file("/etc/chrony.conf").content_string
    assert "server time.example.com prefer" in chrony
    assert "server 192.0.2.7 iburst" in chrony
    assert "169.254.169.123" not in chrony


def test_kernel_limits_journal_and_audit(host):
    kernel = host.file("/etc/sysctl.d/60-checkop.conf").content_string
    assert "vm.swappiness = 60" in kernel
    assert "net.ipv4.tcp_fin_timeout = 30" in kernel
    assert host.check_output("su -s /bin/bash nobody -c 'ulimit -Hn'") == "2048"
    assert "@wheel soft nproc 512" in host.file("/etc/security/limits.d/60-checkop.conf").content_string
    assert "SystemMaxUse=64M" in host.file("/etc/systemd/journald.conf.d/checkop.conf").content_string
    assert "max_log_file = 8\n" in host.file("/etc/audit/auditd.conf").content_string


def test_banner_and_firewall(host):
    assert host.file("/etc/issue.net").content_string.strip() == "Only for those who are asked in."
    assert host.check_output("firewall-offline-cmd --zone=public --list-ports").split() == ["22/tcp", "8080/tcp"]


def test_repository_expires_as_told(host):
    assert "metadata_expire=1h" in host.file("/etc/yum.repos.d/checkop.repo").content_string
