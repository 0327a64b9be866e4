"""The application's start command, checked against what a release has."""

import os


def problem(command, release):
    """Return why a command cannot start from a release, or None if it can.

    Args:
        command: program and arguments. A program without a leading slash lies in the release; of `python -m NAME`,
            the module NAME lies there too.
        release: folder of the unpacked release, the working directory of the service.
    """
    if not command:
        return "no start command is given"
    program = command[0]
    path = program if os.path.isabs(program) else os.path.join(release, program)
    if not os.path.isfile(path):
        where = "on this host" if os.path.isabs(program) else "in the archive"
        return "there is no %s %s" % (program, where)
    if not os.access(path, os.X_OK):
        return "%s is not executable" % program
    if "-m" in command[1:-1]:
        return _module_problem(command[command.index("-m") + 1], release)
    script = next((word for word in command[1:] if word.endswith((".py", ".sh"))), None)
    if script and not os.path.isfile(os.path.join(release, script)):
        return "there is no %s in the archive" % script
    return None


def _module_problem(module, release):
    stem = os.path.join(release, *module.split("."))
    if os.path.isfile(stem + ".py") or os.path.isfile(os.path.join(stem, "__main__.py")):
        return None
    return "there is no module %s in the archive (%s.py or %s/__main__.py)" % (
        module,
        module.replace(".", "/"),
        module.replace(".", "/"),
    )
