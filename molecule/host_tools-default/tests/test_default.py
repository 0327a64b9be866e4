import json


def test_the_program_runs_under_the_system_s_python_with_the_sdk_it_brought(host):
    assert host.file("/usr/bin/checkop-host").content_string.startswith("#!/usr/bin/python2.7")
    (sdk,) = host.check_output("ls -d /usr/lib/checkop/vendor-*").split()
    seen = host.check_output(
        f"/usr/bin/python2.7 -Es -c 'import sys; sys.path.insert(0, \"{sdk}\"); import boto3; print(boto3.__version__)'"
    )
    assert seen == "1.17.112"


def test_settings_are_fetched_at_boot_and_again_on_request(host):
    assert host.service("checkop-configure").is_running
    assert host.service("checkop-configure").is_enabled
    assert json.loads(host.check_output("checkop-host configure")) == {"changed": []}


def test_what_it_does_is_in_the_journal(host):
    assert "configured from /checkop/molecule" in host.check_output("journalctl --unit checkop-configure --output cat")
    host.check_output("checkop-host configure")
    assert "configured from" in host.check_output("journalctl --identifier checkop-host --output cat --lines 1")


def test_a_path_that_is_not_mounted_is_an_error_with_status_1(host):
    answer = host.run("checkop-host mount-check --path /opt")
    assert answer.rc == 1
    assert "/opt is not mounted" in answer.stderr
    assert host.run("checkop-host mount-check --path /proc").rc == 0


def test_settings_of_a_role_that_is_not_there_are_wrong_use(host):
    assert host.run("checkop-host drain").rc == 2
    assert host.run("checkop-host no-such-command").rc == 2


def test_a_missing_parameter_is_named_and_the_file_stays(host):
    host.check_output(
        'printf \'%s\' \'{"application": {"environment_file": "/root/test.env", "group": "checkop", "current": "/x",'
        ' "settings": {}, "secrets": {}, "parameters": {"A": "no/such"}}}\' > /etc/checkop/conf.d/test.json'
        " && echo before > /root/test.env"
    )
    try:
        answer = host.run("checkop-host configure")
        assert answer.rc == 1
        assert "/checkop/molecule/no/such" in answer.stderr
        assert host.file("/root/test.env").content_string.strip() == "before"
    finally:
        host.check_output("rm /etc/checkop/conf.d/test.json /root/test.env")


def test_the_owner_of_chop_temp_has_the_number_that_every_host_knows(host):
    assert (host.user("checkop").uid, host.user("checkop").gid) == (5000, 5000)
    assert host.user("checkop").shell == "/sbin/nologin"
