"""The rehearsal end to end: provision, bake, roll out, bake again, roll out again, roll back, all under load.

It types what a sysadmin would type against AWS; only the environment of `lab env` makes it a rehearsal.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from checkop.bake.template import search_path
from lab.errors import LabError
from lab.sample_app import build as sample
from lab.steps import Runner, Step, say

INVENTORY = "inventory/rehearsal"
OUTPUT = Path("build/rehearsal")
RATE_PER_SECOND = 50.0


def own_environment(**more: str) -> dict[str, str]:
    """Return this process's environment with the commands of its virtual environment first on PATH, and more."""
    return {**os.environ, "PATH": search_path(), **more}


def exported(base: dict[str, str]) -> dict[str, str]:
    """Return an environment with what `lab env` exports for the lab that runs."""
    lines = subprocess.run(["lab", "env"], env=base, check=True, capture_output=True, text=True).stdout
    return lab_environment(lines, base)


def lab_environment(text: str, base: dict[str, str]) -> dict[str, str]:
    """Apply the lines of `lab env` to an environment, as a shell's eval would.

    Parameters
    ----------
    text:
        Lines ``export NAME=value`` and ``unset NAME``, quoted for a shell.
    base:
        The environment to start from; it is not changed.
    """
    environment = dict(base)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["export"]:
            for word in words[1:]:
                name, _, value = word.partition("=")
                environment[name] = os.path.expandvars(value) if name == "PATH" else value
        elif words[:1] == ["unset"]:
            for name in words[1:]:
                environment.pop(name, None)
    return environment


def changed_tasks(output: str) -> int:
    """Return the number of changed tasks in the recap of an ansible-playbook run."""
    found = re.findall(r"^\S+\s+: ok=\d+\s+changed=(\d+)", output, flags=re.MULTILINE)
    if not found:
        raise LabError("the run printed no recap, so nothing can be said of what it changed")
    return sum(int(number) for number in found)


class Load:
    """The load generator as a process of its own, so that its timing is not ours.

    Parameters
    ----------
    environment:
        What `lab env` exports, which names the balancer's nodes.
    output:
        File for the figures.
    rate:
        Requests a second.
    """

    def __init__(self, environment: dict[str, str], output: Path, rate: float = RATE_PER_SECOND) -> None:
        self._output = output
        addresses = sorted(set(json.loads(environment["LAB_RESOLVE"]).values()))
        nodes = [word for address in addresses for word in ("--address", address)]
        command = [sys.executable, "-m", "lab.load", "--wait-ready", "--rate", str(rate), *nodes]
        command += ["--ca-file", environment["LAB_CA_FILE"], "--output", str(output)]
        self._process = subprocess.Popen(command, env=environment, start_new_session=True)

    def stop(self) -> dict[str, Any]:
        """End it and return its figures."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(timeout=60)
        if status != 0:
            raise LabError(f"the load generator ended with status {status}")
        figures: dict[str, Any] = json.loads(self._output.read_text(encoding="utf-8"))
        return figures

    def kill(self) -> None:
        """End it without asking for figures."""
        self._process.kill()
        self._process.wait()


def rehearse(began: float, keep: bool) -> dict[str, Any]:
    """Run the whole rehearsal and return its summary.

    Parameters
    ----------
    began:
        When the preparation of the machine began, seconds since the epoch.
    keep:
        Leave the lab running for a look around.

    Raises
    ------
    LabError
        A step failed; nothing is left running unless `keep` says so.
    """
    base = own_environment(PYTHONUNBUFFERED="1", ANSIBLE_FORCE_COLOR="0", ANSIBLE_NOCOLOR="1")
    runner = Runner(OUTPUT / "logs", base)
    load: Load | None = None
    try:
        runner.run("lab", ["lab", "up"])
        runner.environment = environment = exported(base)
        runner.timings["setup"] = round(time.time() - began, 2)

        site = ["ansible-playbook", "-i", INVENTORY, "playbooks/site.yml"]
        runner.run("site", site)
        # As on a working day: a bake disturbs neither a run of site.yml nor a rollout, and is disturbed by none.
        first = _bake(runner, "1.0.0")
        again = runner.run("site_again", site)
        runner.finish(first)
        load = Load(environment, OUTPUT / "load.json")
        second = _bake(runner, "1.1.0")
        _play(runner, "rollout", "rollout.yml")
        runner.finish(second)
        _play(runner, "rollout", "rollout.yml")
        _play(runner, "rollback", "rollback.yml")
        figures = load.stop()
        load = None
        releases, status, found = _read(
            environment,
            ["checkop", "releases", "-i", INVENTORY, "--json"],
            ["lab", "status", "--json"],
            [sys.executable, "-m", "lab.systems", "-i", INVENTORY],
        )
    finally:
        runner.end()
        if load is not None:
            load.kill()
        if not keep:
            runner.run("lab-down", ["lab", "down"])
    runner.timings["total"] = round(time.time() - began, 2)
    site_again_changed = changed_tasks(again)
    return {
        "ok": figures["failed"] == 0 and site_again_changed == 0 and all(found["systems"].values()),
        **found,
        "timings": runner.timings,
        "site_again_changed": site_again_changed,
        "load": figures,
        "releases": releases,
        "host_image": status["host_image"],
    }


def _play(runner: Runner, name: str, playbook: str) -> None:
    runner.run(name, ["ansible-playbook", "-i", INVENTORY, f"playbooks/{playbook}"])


def _bake(runner: Runner, version: str) -> Step:
    archive, digest = sample.build(version, Path("build/application"))
    command = ["checkop", "bake", "-i", INVENTORY, "--version", version]
    return runner.start("bake", [*command, "--archive", str(archive), "--sha256", digest])


def _read(environment: dict[str, str], *commands: list[str]) -> list[Any]:
    """Run commands side by side, and return what each printed, read as JSON."""
    running = [subprocess.Popen(one, env=environment, stdout=subprocess.PIPE, text=True) for one in commands]
    printed = [process.communicate()[0] for process in running]
    for command, process in zip(commands, running, strict=True):
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
    return [json.loads(text) for text in printed]


def table(summary: dict[str, Any]) -> str:
    """Return what a person wants to know of a rehearsal, a line each."""
    load, timings = summary["load"], summary["timings"]
    rows = [("system", "present")]
    rows += [(name, "yes" if there else "MISSING") for name, there in summary["systems"].items()]
    rows += [("", ""), ("step", "seconds")]
    rows += [(name, f"{seconds:.1f}") for name, seconds in timings.items()]
    rows += [
        ("", ""),
        ("second site.yml changed", str(summary["site_again_changed"])),
        ("requests sent / failed", f"{load['requests']} / {load['failed']}"),
        ("requests a second, p99", f"{load['rate_per_second']}, {load['p99_ms']} ms"),
        ("releases served", ", ".join(sorted(load["versions"]))),
        ("host image", summary["host_image"]["kind"]),
    ]
    return "\n".join(f"{left:<28}{right}".rstrip() for left, right in rows)


def main(argv: list[str] | None = None) -> int:
    """Rehearse, print the table, write the summary; the exit status says whether all went well."""
    parser = argparse.ArgumentParser(description="Rehearse the whole environment on this machine.")
    parser.add_argument("--began", type=float, default=time.time(), help="when the set-up began, epoch seconds")
    parser.add_argument("--keep", action="store_true", help="leave the lab running afterwards")
    args = parser.parse_args(argv)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / "summary.json"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        summary = rehearse(args.began, args.keep)
    except (LabError, subprocess.CalledProcessError) as error:
        path.write_text(json.dumps({"ok": False, "error": str(error)}, indent=2) + "\n", encoding="utf-8")
        say(str(error))
        return 1
    except KeyboardInterrupt:
        path.write_text(json.dumps({"ok": False, "error": "interrupted"}, indent=2) + "\n", encoding="utf-8")
        say("interrupted; nothing is left running, run it again at any time")
        return 130
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{table(summary)}\n")
    if not summary["ok"]:
        say(f"not all went well: see {path}")
    return 0 if summary["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
