"""Fetch what only exists at run time, and write the application's environment and the mount of ChOp-Temp."""

import json
import logging
import os
import subprocess

from . import environment, files
from .aws import calling
from .errors import HostError

_LOG = logging.getLogger(__name__)
_NAMES_PER_CALL = 10  # SSM GetParameters
_FSTAB = "/etc/fstab"


def configure(settings, clients, run=subprocess.check_call, fstab=_FSTAB):
    """Write the environment file and the fstab line from SSM and Secrets Manager; return the paths that changed.

    Everything is fetched and rendered before anything is written: a missing parameter leaves the host as it was.

    Args:
        settings: merged settings of the host; `application` and `storage` are optional.
        clients: AWS clients of this host.
        run: runs a command, given as a list, and raises if it fails.
        fstab: path of the file system table.

    Raises:
        HostError: a parameter, a secret or a key of one is missing, or a file cannot be written.
    """
    application, storage = settings.get("application"), settings.get("storage")
    found = _parameters(settings["ssm_prefix"], _wanted_names(application, storage), clients)
    text = _environment_text(settings, application, found, clients) if application else None
    table = _fstab_text(settings, storage, found, fstab) if storage else None

    changed = []
    if text is not None and files.replace_text(
        application["environment_file"], text, 0o640, application["group"]
    ):
        changed.append(application["environment_file"])
    if table is not None and files.replace_text(fstab, table, 0o644):
        changed.append(fstab)
        _systemctl(run, "daemon-reload")
    if storage:
        # Not waited for: a dead file system must not hold up the boot. checkop.service is ordered after the mount.
        _systemctl(run, "start", "--no-block", storage["mount_unit"])
    _LOG.info("configured from %s: %s", settings["ssm_prefix"], ", ".join(changed) or "nothing changed")
    return changed


def _wanted_names(application, storage):
    names = set()
    if application:
        names.update(application["parameters"].values())
        names.update(application["secrets"])
    if storage:
        names.update(storage["parameters"].values())
    return names


def _parameters(prefix, names, clients):
    """Return parameter name below `prefix` -> value, of those that exist."""
    if not names:
        return {}
    ssm, ordered, found = clients.client("ssm"), sorted(names), {}
    for start in range(0, len(ordered), _NAMES_PER_CALL):
        part = ["%s/%s" % (prefix, name) for name in ordered[start : start + _NAMES_PER_CALL]]
        answer = calling("read SSM parameters below " + prefix, ssm.get_parameters, Names=part, WithDecryption=True)
        for parameter in answer["Parameters"]:
            found[parameter["Name"][len(prefix) + 1 :]] = parameter["Value"]
    return found


def _environment_text(settings, application, found, clients):
    variables = dict((name, environment.as_text(value)) for name, value in application["settings"].items())
    variables["CHECKOP_VERSION"] = current_version(application["current"])
    prefix = settings["ssm_prefix"]
    variables.update(environment.from_parameters(application["parameters"], found, prefix))
    for parameter, wanted in application["secrets"].items():
        arn = environment.from_parameters({"": parameter}, found, prefix)[""]
        variables.update(environment.from_secret(wanted, _secret(arn, clients), arn))
    return environment.render(variables)


def _secret(arn, clients):
    answer = calling("read secret " + arn, clients.client("secretsmanager").get_secret_value, SecretId=arn)
    try:
        secret = json.loads(answer["SecretString"])
    except (KeyError, ValueError):
        raise HostError("secret %s is not a JSON object" % arn)
    if not isinstance(secret, dict):
        raise HostError("secret %s is not a JSON object" % arn)
    return secret


def _fstab_text(settings, storage, found, fstab):
    values = environment.from_parameters(storage["parameters"], found, settings["ssm_prefix"])
    line = storage["fstab_line"].format(**values)
    return environment.with_fstab_line(files.read_text(fstab) or "", storage["mount_path"], line)


def current_version(link):
    """Return the version that a `current` link names, or "" before the first release."""
    return os.path.basename(os.readlink(link)) if os.path.islink(link) else ""


def _systemctl(run, *words):
    try:
        run(["systemctl"] + list(words))
    except (subprocess.CalledProcessError, OSError) as error:
        raise HostError("systemctl %s failed: %s" % (" ".join(words), error))
