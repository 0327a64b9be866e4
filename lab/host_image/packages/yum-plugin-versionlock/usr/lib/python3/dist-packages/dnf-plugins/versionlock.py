"""Stand-in for yum's versionlock plugin: other versions of a package than the listed one are out of sight."""

import os

import dnf

LIST = "/etc/yum/pluginconf.d/versionlock.list"


class VersionLock(dnf.Plugin):
    """Excludes what the list does not allow; its lines are `epoch:name-version-release.arch`."""

    name = "versionlock"

    def sack(self):
        """Hide the other versions, once all packages are known."""
        if not os.path.exists(LIST):
            return
        with open(LIST) as handle:
            lines = [line.strip() for line in handle if line.strip() and not line.startswith("#")]
        allowed = {}
        for line in lines:
            pattern = line.partition(":")[2] if line.split(":")[0].isdigit() else line
            subject = dnf.subject.Subject(pattern)
            for package in subject.get_best_query(self.base.sack, with_provides=False, with_filenames=False):
                allowed.setdefault(package.name, []).append(package)
            for nevra in subject.get_nevra_possibilities():
                allowed.setdefault(nevra.name, []) if nevra.version else None
        for name, packages in allowed.items():
            others = (
                self.base.sack.query()
                .available()
                .filter(name=name)
                .difference(
                    self.base.sack.query().filter(pkg=packages)
                    if packages
                    else self.base.sack.query().filter(empty=True)
                )
            )
            self.base.sack.add_excludes(others)
