"""Run molecule scenarios side by side: `python -m tests.molecule [PART OF A NAME ...]`, all without a name.

Molecule's own `--workers` serves collections only. Every scenario is one `molecule test` with a log of its own in
build/molecule/; what comes before a failure is shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from checkop.bake.template import search_path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build" / "molecule"
LAST_LINES = 40


@dataclass(frozen=True)
class Result:
    """How a scenario ended: its name, molecule's exit code, wall seconds, and where its output lies."""

    scenario: str
    code: int
    seconds: float
    log: Path


def scenarios(parts: list[str]) -> list[str]:
    """Return the names of the scenarios that contain one of `parts`; all of them if there is none."""
    names = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
    return [name for name in names if not parts or any(part in name for part in parts)]


def run(scenario: str, command: str) -> Result:
    """Run one scenario with molecule."""
    LOGS.mkdir(parents=True, exist_ok=True)
    # The programs of the environment that runs this file: ansible-playbook, pytest, molecule itself.
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": search_path(),
        # Its own state and container, apart from those that somebody works on by hand.
        "MOLECULE_EPHEMERAL_DIRECTORY": str(LOGS / scenario),
        "CHECKOP_MOLECULE_SUFFIX": "-run",
        "NO_COLOR": "1",
        "PY_COLORS": "0",
    }
    log = LOGS / f"{scenario}.log"
    began = time.monotonic()
    with log.open("wb") as output:
        ended = subprocess.run(
            [programs / "molecule", command, "--scenario-name", scenario],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return Result(scenario, ended.returncode, time.monotonic() - began, log)


def cause(log: Path) -> list[str]:
    """Return the last lines before molecule gives up; what it cleans up afterwards tells nothing."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    given_up = [index for index, line in enumerate(lines) if line.startswith(("CRITICAL Ansible", "ERROR"))]
    end = given_up[0] if given_up else len(lines)
    return lines[max(0, end - LAST_LINES) : end + 1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 0 when every scenario passed, 1 when one failed, 2 when there is none."""
    parser = argparse.ArgumentParser(prog="tests.molecule", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="run the scenarios whose name contains one of these")
    parser.add_argument("--command", default="test", help="molecule's command (default: test)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once (default: cores)")
    options = parser.parse_args(arguments)
    chosen = scenarios(options.parts)
    if not chosen:
        print(f"No scenario's name contains any of {options.parts}; there are: {scenarios([])}", file=sys.stderr)
        return 2
    began = time.monotonic()
    failed = 0
    with ThreadPoolExecutor(options.jobs) as workers:
        for done in as_completed([workers.submit(run, name, options.command) for name in chosen]):
            result = done.result()
            word = "passed" if result.code == 0 else f"FAILED ({result.code})"
            print(f"molecule: {result.scenario:32} {word:12} {result.seconds:6.1f} s", flush=True)
            if result.code != 0:
                failed += 1
                print("\n".join(cause(result.log)), f"\nThe whole log: {result.log.relative_to(ROOT)}", flush=True)
    print(f"molecule: {len(chosen) - failed} passed, {failed} failed in {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
