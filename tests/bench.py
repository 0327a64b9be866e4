"""Benchmarks: every figure beside a baseline measured in the same run, written to build/bench/results.json.

The machine's speed drifts, so only the ratio is to be trusted; the seconds say how long a person waits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError
from lab.rehearsal import INVENTORY, exported, own_environment
from lab.sample_app import build as sample
from lab.steps import Runner, say
from tests import molecule, processes

OUTPUT = Path("build/bench")
# Ansible as it comes, with a call of a module for every file and unit: a project that does nothing for its speed.
STOCK = {
    "ANSIBLE_ACTION_PLUGINS": "tests/stock:plugins/action",
    "ANSIBLE_STRATEGY": "linear",
    "ANSIBLE_FORKS": "5",
    "ANSIBLE_PIPELINING": "False",
    "ANSIBLE_CALLBACKS_ENABLED": "",
}
IDLE_SECONDS = 30.0
# Its tests wait longest.
SCENARIO = "cloudwatch_agent-default"


@dataclass(frozen=True)
class Figure:
    """One measurement: the median of `runs`, what it is compared with, and the ratio of the two."""

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    runs: int


def compare(name: str, value: list[float], baseline: list[float], unit: str = "s") -> Figure:
    """Return the figure of two lists of measurements, by their medians."""
    mine, theirs = statistics.median(value), statistics.median(baseline)
    return Figure(name, round(mine, 3), unit, round(theirs, 3), round(mine / theirs, 3), len(value))


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command that must succeed and return its wall time."""
    began = time.monotonic()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise LabError(
            f"{' '.join(command)} ended with status {ended.returncode}:\n{ended.stdout[-3000:]}{ended.stderr[-2000:]}"
        )
    return time.monotonic() - began


def playbook(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a playbook against the rehearsal."""
    return ["ansible-playbook", "-i", INVENTORY, f"playbooks/{name}.yml", *arguments]


def against_stock(name: str, command: list[str], environment: dict[str, str], runs: int) -> Figure:
    """Measure a command with our settings and with Ansible's own, in turn."""
    ours, stock = [], []
    for _ in range(runs):
        ours.append(seconds(command, environment))
        stock.append(seconds(command, {**environment, **STOCK}))
    return compare(name, ours, stock)


def idle(environment: dict[str, str]) -> list[Figure]:
    """Measure what a lab with nothing to do costs, against one core and 400 MB, instances left out."""
    status = json.loads(
        subprocess.run(["lab", "status", "--json"], env=environment, check=True, capture_output=True, text=True).stdout
    )
    pids = processes.family(status["lab"]["pid"])
    before, began = processes.cpu_seconds(pids), time.monotonic()
    time.sleep(IDLE_SECONDS)
    share = (processes.cpu_seconds(pids) - before) / (time.monotonic() - began) * 100
    return [
        compare("lab idle, share of a core", [share], [100.0], "%"),
        compare("lab idle, resident memory", [processes.megabytes(pids)], [400.0], "MB"),
    ]


def inner_loop(runs: int) -> Figure:
    """Measure converge and verify on a living container, against the whole test of the same scenario."""

    def timed(*commands: str) -> float:
        results = [molecule.run(SCENARIO, command) for command in commands]
        for result in results:
            if result.code != 0:
                raise LabError("\n".join([*molecule.cause(result.log), f"molecule ended with status {result.code}"]))
        return sum(result.seconds for result in results)

    whole = timed("test")
    try:
        timed("converge", "verify")
        loops = [timed("converge", "verify") for _ in range(runs)]
    finally:
        molecule.run(SCENARIO, "destroy")
    return compare(f"molecule inner loop, {SCENARIO}", loops, [whole])


def measure(runs: int, keep: Callable[[Figure], None]) -> None:
    """Start a lab, measure everything in it, and take it down again."""
    base = own_environment()
    runner = Runner(OUTPUT / "logs", base)
    runner.run("lab", ["lab", "up"])
    try:
        runner.environment = environment = exported(base)
        runner.run("site", playbook("site"))
        keep(against_stock("site.yml, nothing to do", playbook("site"), environment, runs))
        for version in ("1.0.0", "1.1.0"):
            archive, digest = sample.build(version, OUTPUT / "application")
            command = ["checkop", "bake", "-i", INVENTORY, "--version", version]
            runner.run(f"bake {version}", [*command, "--archive", str(archive), "--sha256", digest])
            runner.run(f"rollout {version}", playbook("rollout"))
        keep(compare("bake with its gates, warm", [runner.timings["bake 1.1.0"]], [runner.timings["bake 1.0.0"]]))
        configure = playbook("configure", "-e", "host_group=autochop")
        runner.run("configure", configure)
        keep(against_stock("configure.yml on two hosts, nothing to do", configure, environment, runs))
        for figure in idle(environment):
            keep(figure)
    finally:
        runner.environment = base
        runner.run("lab-down", ["lab", "down"])


def main(argv: list[str] | None = None) -> int:
    """Measure, print a line a figure as it is known, and write them all."""
    parser = argparse.ArgumentParser(description="Measure the project against baselines.")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args(argv)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []

    def keep(figure: Figure) -> None:
        figures.append(figure)
        text = json.dumps([asdict(one) for one in figures], indent=2) + "\n"
        (OUTPUT / "results.json").write_text(text, encoding="utf-8")
        sys.stdout.write(
            f"{figure.name:<45} {figure.value:>9} {figure.unit:<3} of {figure.baseline} = {figure.ratio}\n"
        )
        sys.stdout.flush()

    try:
        measure(args.runs, keep)
        keep(inner_loop(args.runs))
    except LabError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
