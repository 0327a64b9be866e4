"""The application's environment file (systemd.exec(5), EnvironmentFile=): pure text, no AWS."""

import re

from .errors import HostError, UsageError

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_SPECIAL = re.compile(r'(["\\$`])')


def render(variables):
    """Return the text of an environment file.

    Values are in double quotes; systemd 219 takes any character after a backslash as it is, newer ones those of
    `_SPECIAL` only, so both read back what was written.

    Raises:
        UsageError: a name is none, or a value has a line break.
    """
    lines = ["# Written by checkop-host configure at every boot; changes made here are lost."]
    for name in sorted(variables):
        value = variables[name]
        if not _NAME.match(name):
            raise UsageError("%r is not a name of an environment variable" % name)
        if "\n" in value or "\r" in value:
            raise UsageError("the value of %s has a line break, which an environment file cannot hold" % name)
        lines.append('%s="%s"' % (name, _SPECIAL.sub(r"\\\1", value)))
    return "\n".join(lines) + "\n"


def as_text(value):
    """Return a setting as the application reads it: JSON's true and false, numbers and text as they are."""
    if isinstance(value, bool):
        return u"true" if value else u"false"
    return u"%s" % (value,)


def from_parameters(wanted, found, prefix):
    """Return variable -> value of the parameters that were found.

    Args:
        wanted: variable -> parameter name below `prefix`.
        found: parameter name below `prefix` -> value.
        prefix: the SSM path, for the message.

    Raises:
        HostError: parameters are missing; names every one.
    """
    missing = sorted(set(wanted.values()) - set(found))
    if missing:
        raise HostError(
            "SSM parameters are missing: %s; `ansible-playbook playbooks/site.yml` publishes them"
            % ", ".join("%s/%s" % (prefix, name) for name in missing)
        )
    return dict((variable, found[name]) for variable, name in wanted.items())


def from_secret(wanted, secret, name):
    """Return variable -> value of a secret's keys.

    Raises:
        HostError: keys are missing; names them, never a value.
    """
    missing = sorted(key for key in wanted.values() if not isinstance(secret.get(key), type(u"")))
    if missing:
        raise HostError("secret %s has no text for: %s" % (name, ", ".join(missing)))
    return dict((variable, secret[key]) for variable, key in wanted.items())


def with_fstab_line(text, mount_point, line):
    """Return the text of an fstab in which `mount_point` is mounted by `line` and nothing else.

    Args:
        text: the present fstab.
        mount_point: absolute path.
        line: the wanted line.
    """
    kept = []
    placed = False
    for old in text.splitlines():
        fields = old.split("#", 1)[0].split()
        if len(fields) > 1 and fields[1] == mount_point:
            if not placed:
                kept.append(line)
                placed = True
            continue
        kept.append(old)
    if not placed:
        kept.append(line)
    return "\n".join(kept) + "\n"
