#!/usr/bin/python
# Runs on the host: Python 2.7 and 3.
"""Ansible module: clean a machine by a list, and prove by the same list that it is clean."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: image_seal
short_description: Clean a machine that becomes an image, and prove it clean
description:
  - Applies each entry's rule to its paths, then checks the same entries, and searches folders for secrets.
  - Symbolic links are never followed; nothing at or below a mount point is touched or read.
options:
  state:
    description: C(sealed) cleans and proves; C(proved) only proves and changes nothing.
    choices: [sealed, proved]
    default: sealed
    type: str
  items:
    description: Entries with C(name), C(rule) (C(absent), C(empty) or C(bare)), C(paths) and, if need be, C(except).
    required: true
    type: list
    elements: dict
  secret_folders:
    description: Folders whose files must hold none of the patterns.
    type: list
    elements: str
    default: []
  secret_patterns:
    description: Entries with C(name) and C(pattern), a regular expression.
    type: list
    elements: dict
    default: []
  writers:
    description: Services that are stopped first because they write to what is cleaned.
    type: list
    elements: str
    default: []
  root:
    description: Folder that paths are relative to.
    type: str
    default: /
author: CheckOP
"""

EXAMPLES = r"""
- name: Clean by the list, then prove by the same list
  image_seal:
    items:
      - {name: machine id, rule: empty, paths: [/etc/machine-id]}
"""

RETURN = r"""
removed:
  description: What was removed or emptied.
  returned: always
  type: list
findings:
  description: What is not as the list wants it; each is one sentence.
  returned: always
  type: list
"""

import fnmatch
import glob
import os
import re
import shutil
import stat
import subprocess

from ansible.module_utils.basic import AnsibleModule

RULES = ("absent", "empty", "bare")
# A secret is short; what is bigger is data or a program.
LARGEST_SEARCHED_BYTES = 1024 * 1024
# Something that was just stopped may still write its last line.
ROUNDS = 3


def mount_points(root, table="/proc/self/mounts"):
    """Return the mount points below `root`, as paths; the root itself is none."""
    points = set()
    with open(table) as lines:
        for line in lines:
            # The kernel writes a space in a path as \040 (proc(5)).
            point = line.split(" ")[1].replace("\\040", " ")
            if point != "/" and (point + "/").startswith(root.rstrip("/") + "/"):
                points.add(point)
    return points


class Seal(object):
    """The list, applied to one root folder."""

    def __init__(self, root, items, secret_folders, secret_patterns, mounts):
        self.root = root.rstrip("/")
        self.items = items
        self.secret_folders = secret_folders
        self.secret_patterns = [
            (entry["name"], re.compile(entry["pattern"].encode("utf-8"))) for entry in secret_patterns
        ]
        self.mounts = mounts
        self.removed = []

    def clean(self):
        """Apply every entry's rule."""
        for item in self.items:
            for path in self.offenders(item):
                self.removed.append(path[len(self.root) :])
                if item["rule"] == "empty":
                    # In place, so that owner, mode and SELinux label stay.
                    with open(path, "r+b") as emptied:
                        emptied.truncate(0)
                else:
                    self.remove(path)

    def prove(self):
        """Return a sentence for everything that is not as the list wants it, and for every secret found."""
        findings = []
        for item in self.items:
            for path in self.offenders(item):
                findings.append(
                    "%s is left of '%s' (rule %s): %s"
                    % (path[len(self.root) :], item["name"], item["rule"], item.get("why", ""))
                )
        for path in self.files(self.secret_folders):
            for name in self.secrets_in(path):
                findings.append(
                    "%s holds what looks like a %s; find out what puts it there" % (path[len(self.root) :], name)
                )
        return findings

    def offenders(self, item):
        """Return the paths that break an entry's rule, parents before children."""
        kept = [self.root + pattern for pattern in item.get("except", [])]
        found = []
        for pattern in item["paths"]:
            paths = glob.glob(self.root + pattern)
            if item["rule"] == "bare":
                paths = [os.path.join(folder, name) for folder in paths for name in self.listing(folder)]
            found.extend(path for path in paths if self.offends(path, item["rule"]))
        return sorted(
            set(
                path
                for path in found
                if not any(fnmatch.fnmatch(path, keep) for keep in kept) and not self.on_mount(path)
            )
        )

    def offends(self, path, rule):
        """Tell whether a path that exists breaks the rule."""
        if rule != "empty":
            return True
        status = os.lstat(path)
        return stat.S_ISREG(status.st_mode) and status.st_size > 0

    def listing(self, folder):
        """Return the names in a folder that is no link and no mount point of its own."""
        if os.path.islink(folder) or not os.path.isdir(folder) or self.on_mount(folder):
            return []
        return os.listdir(folder)

    def on_mount(self, path):
        """Tell whether a path is a mount point or lies below one: it is then no part of the root volume."""
        return any(path == point or path.startswith(point + "/") for point in self.mounts)

    def remove(self, path):
        """Remove a file, a link or a folder, but no folder that holds a mount point."""
        if any(point.startswith(path + "/") for point in self.mounts):
            for name in self.listing(path):
                child = os.path.join(path, name)
                if not self.on_mount(child):
                    self.remove(child)
        elif os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def files(self, folders):
        """Yield the regular files below folders, sorted, on the root volume only."""
        for folder in folders:
            for top, names, files in os.walk(self.root + folder):
                names[:] = sorted(name for name in names if not self.on_mount(os.path.join(top, name)))
                for name in sorted(files):
                    path = os.path.join(top, name)
                    if stat.S_ISREG(os.lstat(path).st_mode) and not self.on_mount(path):
                        yield path

    def secrets_in(self, path):
        """Return the names of the patterns that a file holds."""
        if os.path.getsize(path) > LARGEST_SEARCHED_BYTES:
            return []
        with open(path, "rb") as searched:
            content = searched.read()
        return [name for name, pattern in self.secret_patterns if pattern.search(content)]


def stop(writers, call=subprocess.check_output):
    """Stop the services among `writers` that run, and the audit daemon. Raises CalledProcessError."""
    listed = call(["systemctl", "list-units", "--type=service", "--state=active", "--no-legend", "--no-pager"])
    running = set(word for word in listed.decode("utf-8").split() if word.endswith(".service"))
    wanted = [name + ".service" for name in writers if name + ".service" in running]
    if wanted:
        # A socket would start its service again with the next message: syslog.socket does so with rsyslog.
        shown = call(["systemctl", "show", "--property=TriggeredBy"] + wanted).decode("utf-8")
        triggers = [unit for line in shown.splitlines() for unit in line.partition("=")[2].split()]
        call(["systemctl", "stop"] + sorted(set(triggers)) + wanted)
    if "auditd.service" in running:
        # auditd refuses systemctl's stop on CentOS 7 (RefuseManualStop), and obeys its own service action.
        call(["/usr/sbin/service", "auditd", "stop"])
        wanted.append("auditd.service")
    return wanted


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["sealed", "proved"], "default": "sealed"},
            "items": {"type": "list", "elements": "dict", "required": True},
            "secret_folders": {"type": "list", "elements": "str", "default": []},
            "secret_patterns": {"type": "list", "elements": "dict", "default": []},
            "writers": {"type": "list", "elements": "str", "default": []},
            "root": {"type": "str", "default": "/"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    for item in parameters["items"]:
        if item.get("rule") not in RULES:
            module.fail_json(
                msg="image_seal: entry '%s' has the rule %r; it is one of %s"
                % (item.get("name"), item.get("rule"), ", ".join(RULES))
            )
    seal = Seal(
        parameters["root"],
        parameters["items"],
        parameters["secret_folders"],
        parameters["secret_patterns"],
        mount_points(parameters["root"]),
    )
    if parameters["state"] == "proved":
        findings = seal.prove()
    elif module.check_mode:
        wanted = [path for item in seal.items for path in seal.offenders(item)]
        module.exit_json(changed=bool(wanted), removed=wanted, findings=[])
    else:
        if parameters["writers"]:
            stop(parameters["writers"])
        for _ in range(ROUNDS):
            seal.clean()
            findings = seal.prove()
            if not findings:
                break
    if findings:
        module.fail_json(msg="The machine is not sealed: " + "; ".join(findings), findings=findings)
    module.exit_json(changed=bool(seal.removed), removed=seal.removed, findings=findings)


if __name__ == "__main__":
    main()
