#!/usr/bin/python
# Runs on hosts: Python 2.7 clean.
"""Ansible module: lay a tree of files, directories and links in one call; the action plugin renders the text."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: checkop_tree
short_description: Lay a rendered tree of files, directories and links in one task
description:
  - Renders the role's C(templates/<path>.j2) of every entry and makes the host agree, in one round trip.
  - Every changed file is validated before any is replaced, and if a command of O(verify) fails afterwards, everything
    is put back as it was.
  - Handlers named by an entry are notified only if that entry changed.
options:
  entries:
    description: What should be there, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path on the host, type: path, required: true}
      state: {description: What the path is, type: str, choices: [file, directory, link, absent], default: file}
      mode: {description: Octal mode in quotes; 0644 for files and 0755 for directories, type: str}
      owner: {description: Owner, type: str, default: root}
      group: {description: Group, type: str, default: root}
      content: {description: Text of a file in place of the role's template, type: str}
      source: {description: File below the role's C(files) to lay as it is, in place of a template, type: str}
      target: {description: What a link points to, type: str}
      validate: {description: Command that must accept the new file; C(%s) is its path, type: str}
      notify: {description: Handlers to notify if this entry changes, type: raw}
  verify:
    description: Commands that must succeed after a change below one of their paths, or all is put back.
    type: list
    elements: dict
    default: []
    suboptions:
      command: {description: The command and its arguments, type: list, elements: str, required: true}
      paths:
        description: A change below one of these paths calls for the command.
        type: list
        elements: path
        required: true
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Lay the configuration
  checkop_tree:
    entries:
      - {path: /etc/chrony.conf, notify: Restart chronyd}
      - {path: /etc/ssh/sshd_config, mode: "0600", validate: /usr/sbin/sshd -t -f %s, notify: Restart sshd}
"""

RETURN = r"""
changed_paths: {description: Paths of the entries that changed, type: list, elements: str, returned: always}
"""

import grp
import os
import pwd
import shlex
import shutil
import tempfile

from ansible.module_utils._text import to_bytes, to_native, to_text
from ansible.module_utils.basic import AnsibleModule


class Tree(object):
    """The entries of one call, and what is needed to put the host back as it was."""

    def __init__(self, module):
        self.module = module
        self.changed_paths = []
        self.diffs = []
        self.undo = []

    def lay(self, entries, verify):
        """Validate every new text, lay all entries, run the commands that a change calls for."""
        staging = tempfile.mkdtemp(prefix="checkop-tree-", dir=self.module.tmpdir)
        try:
            staged = self._stage(entries, staging)
            try:
                for entry in entries:
                    if self._apply(entry, staged.get(entry["path"])):
                        self.changed_paths.append(entry["path"])
                if not self.module.check_mode:
                    self._verify(verify)
            except (EnvironmentError, LayingError) as error:
                self._put_back()
                self.module.fail_json(
                    msg="%s; everything this task changed is as before" % to_native(error), changed=False
                )
        finally:
            shutil.rmtree(staging)

    def _stage(self, entries, staging):
        """Return path -> staged file for every file whose text differs; nothing on the host changed yet."""
        staged = {}
        for number, entry in enumerate(entries):
            if entry["state"] != "file":
                continue
            text = to_bytes(entry["content"])
            if os.path.isdir(entry["path"]):
                self.module.fail_json(msg="%s is a directory, a file is wanted there" % entry["path"])
            if read(entry["path"]) == text and not os.path.islink(entry["path"]):
                continue
            # The name stays, because some validators look at it.
            folder = os.path.join(staging, str(number))
            os.mkdir(folder)
            path = os.path.join(folder, os.path.basename(entry["path"]))
            with open(path, "wb") as stream:
                stream.write(text)
            self._validate(entry, path)
            staged[entry["path"]] = path
        return staged

    def _validate(self, entry, path):
        if not entry["validate"]:
            return
        command = [word.replace("%s", path) for word in shlex.split(entry["validate"])]
        if self.module.check_mode and not os.path.exists(entry["path"]):
            return  # A first check: the validator, or a user that the file names, may be still to come.
        code, out, err = self.module.run_command(command)
        if code != 0:
            self.module.fail_json(
                msg="%s was not replaced, `%s` refuses the new one: %s"
                % (entry["path"], entry["validate"], (to_native(err) + to_native(out)).strip())
            )

    def _apply(self, entry, staged):
        """Make one entry true; return whether it changed."""
        path, state = entry["path"], entry["state"]
        before = describe(path)
        if state == "absent":
            return before["kind"] != "absent" and self._remove(path, before)
        if state == "link":
            return self._link(entry, before)
        if state == "directory":
            changed = self._directory(path, before)
        else:
            changed = staged is not None and self._file(entry, staged, before)
        return self._attributes(entry, before) or changed

    def _file(self, entry, staged, before):
        path = entry["path"]
        self._diff(path, to_text(before["text"] or b"", errors="replace"), entry["content"])
        if not self.module.check_mode:
            self._parents(path)
            self._remember(path, before)
            self.module.atomic_move(staged, path)
        return True

    def _parents(self, path):
        """Make the folders above a path that no entry describes."""
        missing = []
        folder = os.path.dirname(path)
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            self._remember(folder, describe(folder))
            os.mkdir(folder, 0o755)

    def _directory(self, path, before):
        if before["kind"] == "directory":
            return False
        if before["kind"] != "absent":
            raise LayingError("%s is a %s, a directory is wanted there" % (path, before["kind"]))
        self._diff(path, "absent", "directory")
        if not self.module.check_mode:
            self._parents(path)
            self._remember(path, before)
            os.mkdir(path, 0o755)
        return True

    def _link(self, entry, before):
        path, target = entry["path"], entry["target"]
        if before["kind"] == "link" and before["target"] == target:
            return False
        if before["kind"] == "directory":
            raise LayingError("%s is a directory, a link is wanted there" % path)
        self._diff(path, before["target"] or before["kind"], target)
        if not self.module.check_mode:
            self._parents(path)
            self._remember(path, before)
            fresh = path + ".checkop-new"
            if os.path.lexists(fresh):
                os.unlink(fresh)
            os.symlink(target, fresh)
            os.rename(fresh, path)
        return True

    def _remove(self, path, before):
        self._diff(path, before["kind"], "absent")
        if self.module.check_mode:
            return True
        if before["kind"] == "directory":
            shutil.rmtree(path)
        else:
            self._remember(path, before)
            os.unlink(path)
        return True

    def _attributes(self, entry, before):
        """Set owner, group and mode; in check mode a path or owner that is still to come counts as a change."""
        path = entry["path"]
        if self.module.check_mode and before["kind"] == "absent":
            return True
        if self.module.check_mode and not owners_exist(entry):
            return True
        arguments = self.module.load_file_common_arguments(
            {"path": path, "mode": entry["mode"], "owner": entry["owner"], "group": entry["group"]}, path=path
        )
        if not self.module.check_mode and before["kind"] != "absent":
            self._remember(path, before)
        return self.module.set_fs_attributes_if_different(arguments, False)

    def _diff(self, path, before, after):
        if self.module._diff:
            self.diffs.append({"before_header": path, "after_header": path, "before": before, "after": after})

    def _remember(self, path, before):
        self.undo.append((path, before))

    def _verify(self, verify):
        for rule in verify:
            if not any(below(path, rule["paths"]) for path in self.changed_paths):
                continue
            code, out, err = self.module.run_command(rule["command"])
            if code != 0:
                raise LayingError(
                    "`%s` refuses the new configuration: %s"
                    % (" ".join(rule["command"]), (to_native(err) + to_native(out)).strip())
                )

    def _put_back(self):
        for path, before in reversed(self.undo):
            if before["kind"] == "absent":
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                elif os.path.lexists(path):
                    os.unlink(path)
                continue
            if before["kind"] in ("file", "link") and os.path.lexists(path):
                os.unlink(path)
            if before["kind"] == "link":
                os.symlink(before["target"], path)
                continue
            if before["kind"] == "file":
                with open(path, "wb") as stream:
                    stream.write(before["text"])
            os.chown(path, before["uid"], before["gid"])
            os.chmod(path, before["mode"])


class LayingError(Exception):
    """The host cannot be, or must not stay, as the entries say."""


def read(path):
    """Return the bytes of a file, or None where there is none."""
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as stream:
        return stream.read()


def describe(path):
    """Return what a path is now: kind, and what is needed to make it so again."""
    if not os.path.lexists(path):
        return {"kind": "absent", "target": None, "text": None}
    if os.path.islink(path):
        return {"kind": "link", "target": os.readlink(path), "text": None}
    status = os.stat(path)
    kind = "directory" if os.path.isdir(path) else "file"
    return {
        "kind": kind,
        "target": None,
        "text": read(path),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mode": status.st_mode & 0o7777,
    }


def owners_exist(entry):
    """Return whether the entry's user and group are known on this host yet."""
    try:
        if not entry["owner"].isdigit():
            pwd.getpwnam(entry["owner"])
        if not entry["group"].isdigit():
            grp.getgrnam(entry["group"])
    except KeyError:
        return False
    return True


def below(path, folders):
    """Return whether a path is one of the folders or lies below one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def main():
    """Lay the tree and say what changed."""
    module = AnsibleModule(
        argument_spec={
            "entries": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
                    "mode": {"type": "str"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "content": {"type": "str"},
                    "source": {"type": "str"},
                    "target": {"type": "str"},
                    "validate": {"type": "str"},
                    "notify": {"type": "raw"},
                },
            },
            "verify": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "command": {"type": "list", "elements": "str", "required": True},
                    "paths": {"type": "list", "elements": "path", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    tree = Tree(module)
    tree.lay(module.params["entries"], module.params["verify"])
    result = {"changed": bool(tree.changed_paths), "changed_paths": tree.changed_paths}
    if tree.diffs:
        result["diff"] = tree.diffs
    module.exit_json(**result)


if __name__ == "__main__":
    main()
