"""The command checkop-host: data on standard output, what happens on the log, exit status 0, 1 or 2."""

from __future__ import print_function

import argparse
import json
import os
import socket
import sys
import time

from . import addresses, configure, expiry, lifecycle, log, mount, release, settings
from .aws import Clients
from .errors import HostError, UsageError
from .imds import Metadata


def main(argv=None):
    """Run one subcommand; return 0 (done), 1 (something outside is not as it must be) or 2 (wrong use)."""
    arguments = _parser().parse_args(argv)
    # Whoever calls it by hand has a private umask (baseline), and what it lays is for the application to read.
    os.umask(0o022)
    log.start(arguments.verbose)
    try:
        host = Host(settings.load(arguments.host_file, arguments.role_folder))
        return arguments.run(host, arguments)
    except HostError as error:
        print("checkop-host %s: %s" % (arguments.command, error), file=sys.stderr)
        log.journal_only("%s: %s" % (arguments.command, error))
        return error.status


class Host(object):
    """This host: its settings, its metadata, its clients, made when they are needed."""

    def __init__(self, values):
        self.values = values
        self.metadata = Metadata(values.get("metadata_endpoint"))
        self.clients = Clients(values.get("region", ""), values.get("endpoint_url", ""), self.metadata)
        self.name = socket.gethostname()

    def section(self, name):
        """Return one role's settings."""
        return settings.section(self.values, name)


def run_configure(host, arguments):
    """Fetch parameters and secrets, trying again until the time is up."""
    changed = _patiently(arguments.wait, lambda: configure.configure(host.values, host.clients))
    print(json.dumps({"changed": changed}))
    return 0


def run_claim(host, arguments):
    """Claim an Elastic IP address of the pool, trying again until the time is up."""
    wanted = host.section("address")
    address = _patiently(
        arguments.wait, lambda: addresses.claim(wanted, host.clients, host.metadata.instance_id())
    )
    print(json.dumps({"address": address}))
    return 0


def run_release_address(host, arguments):
    """Give the addresses of the pool back."""
    released = addresses.release(host.section("address"), host.clients, host.metadata.instance_id())
    print(json.dumps({"released": released}))
    return 0


def run_drain(host, arguments):
    """Stop taking work and wait for open jobs."""
    return 0 if _drain(host, None) else 1


def run_complete(host, arguments):
    """Complete the lifecycle action; on an instance that ends, as soon as the balancer has drained it."""
    completed = lifecycle.Hooks(host.clients, host.metadata.instance_id()).complete(arguments.result)
    print(json.dumps({"completed": completed}))
    return 0


def run_watch(host, arguments):
    """Wait for the end of this instance, then drain, complete the lifecycle action and give the address back."""
    lifecycle.watch(host.section("lifecycle"), host.metadata, lambda: _end(host))
    return 0


def run_expire(host, arguments):
    """Expire ChOp-Temp."""
    storage = host.section("storage")
    wrong = mount.check(storage["mount_path"], arguments.timeout)
    if wrong:
        raise HostError("nothing expires: " + wrong)
    results = expiry.expire(storage["mount_path"], storage["folders"], time.time(), arguments.dry_run)
    print(json.dumps({"dry_run": arguments.dry_run, "folders": [result.as_dict() for result in results]}))
    return 1 if any(result.errors for result in results) else 0


def run_mount_check(host, arguments):
    """Say whether ChOp-Temp is mounted and answers."""
    path = arguments.path or host.section("storage")["mount_path"]
    wrong = mount.check(path, arguments.timeout)
    if wrong:
        raise HostError(wrong)
    return 0


def run_install_release(host, arguments):
    """Install a release, or say what would be done."""
    application = host.section("application")
    store = release.Store(application["root"], application["keep_releases"])
    before = store.state(arguments.version, arguments.sha256)
    changed = before != "current"
    if not arguments.dry_run:
        if before == "absent" and not arguments.archive:
            raise UsageError("release %s is not installed: --archive is wanted" % arguments.version)
        changed = store.install(arguments.archive, arguments.version, arguments.sha256, application["command"])
    print(json.dumps({"changed": changed, "state": before, "version": arguments.version}))
    return 0


def _patiently(seconds, function):
    """Return what a function returns; what is outside may mend itself within so many seconds, wrong use does not."""
    deadline = time.time() + seconds
    while True:
        try:
            return function()
        except UsageError:
            raise
        except HostError as error:
            if time.time() + _PAUSE_SECONDS > deadline:
                raise
            log.journal_only("%s; trying again" % error)
            time.sleep(_PAUSE_SECONDS)


def _drain(host, heartbeat):
    values = host.section("lifecycle")
    return lifecycle.drain(
        values,
        lambda: lifecycle.open_jobs(values["open_jobs"], host.name, time.time(), values["stale_after_seconds"]),
        heartbeat,
    )


def _end(host):
    """End this instance in order; jobs that are still open do not keep it."""
    instance_id = host.metadata.instance_id()
    hooks = lifecycle.Hooks(host.clients, instance_id)
    _drain(host, hooks.heartbeat)
    # Before the address goes: without one, answers under way and the completion itself find no way out for minutes.
    lifecycle.complete(host.section("lifecycle"), hooks)
    # Only sooner than EC2, which takes the address from an instance that it terminates.
    if "address" in host.values:
        try:
            addresses.release(host.values["address"], host.clients, instance_id)
        except HostError as error:
            log.journal_only(str(error))


_PAUSE_SECONDS = 2
_MOUNT_TIMEOUT_SECONDS = 3.0


def _parser():
    parser = argparse.ArgumentParser(prog="checkop-host", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="log details")
    parser.add_argument("--host-file", default=settings.HOST_FILE, help="settings of the host (default: %(default)s)")
    parser.add_argument(
        "--role-folder", default=settings.ROLE_FOLDER, help="settings of the roles (default: %(default)s)"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True

    def add(name, run):
        command = commands.add_parser(name, help=run.__doc__.splitlines()[0], description=run.__doc__)
        command.set_defaults(run=run)
        return command

    for patient in (add("configure", run_configure), add("claim-address", run_claim)):
        patient.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS", help="try again for so long (default: once)"
        )
    add("release-address", run_release_address)
    add("drain", run_drain)
    add("watch", run_watch)
    add("complete-lifecycle", run_complete).add_argument(
        "--result", choices=["CONTINUE", "ABANDON"], default="CONTINUE", help="default: %(default)s"
    )
    expire = add("expire", run_expire)
    expire.add_argument("--dry-run", action="store_true", help="only say what would go")
    expire.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="wait for ChOp-Temp so long")
    check = add("mount-check", run_mount_check)
    check.add_argument("--path", help="mount point (default: that of ChOp-Temp)")
    check.add_argument("--timeout", type=float, default=_MOUNT_TIMEOUT_SECONDS, metavar="SECONDS", help="default: 3")
    install = add("install-release", run_install_release)
    install.add_argument("--version", required=True, help="name of the release")
    install.add_argument("--sha256", required=True, help="checksum of the archive")
    install.add_argument("--archive", help="tar archive; needless if the release is installed already")
    install.add_argument("--dry-run", action="store_true", help="only say whether anything would change")
    return parser
