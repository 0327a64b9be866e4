#!/usr/bin/python
# Runs on the host: Python 2.7 and 3.
"""Ansible module: list what is on a machine, so that two images can be compared."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: image_manifest
short_description: List the packages, files and enabled units of a machine
description:
  - Reads the RPM database, the given folders and systemd. Changes nothing.
options:
  folders:
    description: Folders whose files are listed with owner, mode and SHA-256.
    required: true
    type: list
    elements: str
  skip:
    description: Patterns of paths that are left out.
    type: list
    elements: str
    default: []
author: CheckOP
"""

EXAMPLES = r"""
- name: List packages, files and units
  image_manifest:
    folders: [/etc]
"""

RETURN = r"""
manifest:
  description: C(packages) (name to version), C(files) (path to owner, mode and checksum), C(units) (enabled ones).
  returned: always
  type: dict
"""

import fnmatch
import hashlib
import os
import re
import stat

from ansible.module_utils.basic import AnsibleModule


def packages(listing):
    """Return name.arch -> epoch:version-release from rpm's listing; several versions are joined by a comma."""
    found = {}
    for line in listing.splitlines():
        name, version = line.split("\t")
        found.setdefault(name, []).append(version)
    return dict((name, ",".join(sorted(versions))) for name, versions in found.items())


def describe(path):
    """Return owner, mode and checksum of a file as one line, or the target of a link."""
    status = os.lstat(path)
    owner = "%d:%d" % (status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return "%s link %s" % (owner, os.readlink(path))
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        for block in iter(lambda: content.read(65536), b""):
            digest.update(block)
    return "%s %04o %s" % (owner, stat.S_IMODE(status.st_mode), digest.hexdigest())


def files(folders, skip):
    """Return path -> description of every file and link below the folders."""
    found = {}
    # One expression for all patterns: thousands of files against dozens of patterns would take seconds.
    skipped = re.compile("|".join(fnmatch.translate(pattern) for pattern in skip) or "(?!)")
    for folder in folders:
        for top, names, leaves in os.walk(folder):
            links = [name for name in names if os.path.islink(os.path.join(top, name))]
            for name in leaves + links:
                path = os.path.join(top, name)
                mode = os.lstat(path).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                    continue
                if not skipped.match(path):
                    found[path] = describe(path)
    return found


def units(listing):
    """Return the sorted names in systemctl's listing of enabled unit files."""
    return sorted(line.split()[0] for line in listing.splitlines() if line.strip())


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folders": {"type": "list", "elements": "str", "required": True},
            "skip": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    query = "%{NAME}.%{ARCH}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\n"
    _, installed, _ = module.run_command(["rpm", "-qa", "--qf", query], check_rc=True)
    _, enabled, _ = module.run_command(
        ["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--no-pager"], check_rc=True
    )
    module.exit_json(
        changed=False,
        manifest={
            "packages": packages(installed),
            "files": files(module.params["folders"], module.params["skip"]),
            "units": units(enabled),
        },
    )


if __name__ == "__main__":
    main()
