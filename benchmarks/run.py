"""Time commands as users start them, and print a markdown table.

    python3 dev.py bench [--repeats N] [--only WORD] [--write FILE]

What the columns mean and how to read them: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CLUSTERWRIGHT = str(Path(sys.executable).with_name("clusterwright"))
ANSWERS = (0, 1)
"""Exit codes of a command that did its work: the answer is yes, or no."""
BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024


class Case(NamedTuple):
    """A command to measure, and the file without which it cannot run."""

    title: str
    command: tuple[str, ...]
    needs: Path | None = None
    counts: bool = False
    """Whether the answer is JSON whose status counts what was tried, and in what time."""


class Sample(NamedTuple):
    """One start of a command."""

    wall_s: float
    peak_bytes: int
    exit_code: int
    status: dict[str, float] | None = None


def search_of(title: str, *words: str) -> Case:
    """Return the case of a search for GPT-3 175B on 1,024 A100, without what-if."""
    question = ("--model", "gpt3-175b", "--accelerator", "A100-SXM4-80GB", "--gpus", "1024")
    command = (CLUSTERWRIGHT, "search", "training", *question, "--global-batch", "1024")
    return Case(
        f"`clusterwright search training`, gpt3-175b on 1,024 A100, {title}",
        (*command, "--no-what-if", "-o", "json", *words),
        Path(CLUSTERWRIGHT),
        counts=True,
    )


def plan_of(example: str) -> Case:
    """Return the case of planning an example and printing the design."""
    file = Path("examples") / example / "centre.yaml"
    return Case(
        f"`clusterwright plan {file}`",
        (CLUSTERWRIGHT, "plan", str(file), "-o", "json"),
        ROOT / file,
    )


YARDSTICK = Case("yardstick: start Python, import numpy", (sys.executable, "-c", "import numpy"))
CASES = (
    YARDSTICK,
    Case("`clusterwright --help`", (CLUSTERWRIGHT, "--help"), Path(CLUSTERWRIGHT)),
    plan_of("autonomous-driving"),
    plan_of("hyperscale-100k"),
    search_of("by bounds"),
    search_of("every strategy", "--exhaustive"),
)


def main() -> int:
    """Measure what is asked for; 1 if a command failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="starts of each command")
    parser.add_argument("--only", default="", help="only cases with this word in their title")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the table in FILE too")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats: at least 1")

    cases = [case for case in CASES if case is YARDSTICK or options.only in case.title]
    present = [case for case in cases if case.needs is None or case.needs.exists()]
    samples: dict[str, list[Sample]] = {case.title: [] for case in cases}
    for number in range(options.repeats):
        print(f"bench: round {number + 1} of {options.repeats}", file=sys.stderr, flush=True)
        for case in present:
            samples[case.title].append(measure(case))

    text = table(cases, samples, options.repeats)
    text = "\n\n".join(part for part in (text, searches(cases, samples)) if part)
    print(text)
    if options.write:
        place = ROOT / options.write
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(page(text), encoding="utf-8")
        print(f"bench: wrote {options.write}", file=sys.stderr)
    failed = any(sample.exit_code not in ANSWERS for rows in samples.values() for sample in rows)
    return 1 if failed else 0


def measure(case: Case) -> Sample:
    """Start the command once and wait for its end."""
    if not case.counts:
        return _start(case, subprocess.DEVNULL)
    with tempfile.TemporaryFile() as answer:
        sample = _start(case, answer.fileno())
        answer.seek(0)
        if sample.exit_code not in ANSWERS:
            return sample
        return sample._replace(status=json.load(answer)["status"])


def _start(case: Case, stdout: int) -> Sample:
    began = time.perf_counter()
    with subprocess.Popen(
        case.command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
    ) as process:
        # wait4 rather than process.wait(): it tells the peak memory of this one child, though never
        # less than this process held when it forked (about 15 MiB).
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    return Sample(wall_s, usage.ru_maxrss * BYTES_PER_MAXRSS, process.returncode)


def table(cases: list[Case], samples: dict[str, list[Sample]], repeats: int) -> str:
    """Return the table with the machine beneath it."""
    yardstick_s = statistics.median(one.wall_s for one in samples[YARDSTICK.title])
    lines = [
        "| command | median | fastest | slowest | × yardstick | peak memory |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [f"| {case.title} | {_cells(samples[case.title], yardstick_s)} |" for case in cases]
    machine = (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} logical CPUs, "
        f"Python {platform.python_version()}"
    )
    return "\n".join([*lines, "", f"Each command {repeats} times in turn; {machine}."])


def searches(cases: list[Case], samples: dict[str, list[Sample]]) -> str:
    """Return the table of what searches counted, each at its median time; empty without any."""
    lines = [
        "| search | strategies | evaluated | feasible, timed | time of the search | feasible/s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        told = [one.status for one in samples[case.title] if one.status is not None]
        if not told:
            continue
        wall_s = statistics.median(status["wall_s"] for status in told)
        counts = [told[0][name] for name in ("num_points", "num_evaluated", "num_feasible")]
        numbers = " | ".join(f"{count:,}" for count in counts)
        lines.append(f"| {case.title} | {numbers} | {wall_s:.2f} s | {counts[2] / wall_s:,.0f} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def _cells(rows: list[Sample], yardstick_s: float) -> str:
    if not rows:
        return "absent | | | |"
    wrong = {sample.exit_code for sample in rows} - set(ANSWERS)
    if wrong:
        return f"failed, exit {sorted(wrong)[0]} | | | |"
    walls_s = [sample.wall_s for sample in rows]
    median_s = statistics.median(walls_s)
    peak = max(sample.peak_bytes for sample in rows) / 2**20
    return (
        f"{median_s:.2f} s | {min(walls_s):.2f} s | {max(walls_s):.2f} s | "
        f"{median_s / yardstick_s:.1f} | {peak:.0f} MiB"
    )


def page(text: str) -> str:
    """Return the page of the docs."""
    return (
        "# Benchmarks\n\n"
        "Written by `python3 dev.py bench --write docs/reference/benchmarks.md`; do not edit.\n"
        "Seconds belong to the machine named below the table; compare ratios.\n\n"
        f"{text}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
