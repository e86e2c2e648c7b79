"""How much later a job starts under the local engine than by hand, and what idle agents take.

    .venv/bin/python benchmarks/local_engine.py [--rounds N] [--write FILE]

Each round starts the same command by hand (`subprocess`), as a job of one task, and as a gang of
two nodes with two tasks each, one after the other, so that a slow minute falls on all of them. Time
runs from the call until the task's first line has arrived, and for ends from that line until the
engine's `observe` shows the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clusterwright.engines import Attempt, Launch, Phase, Share
from clusterwright.engines.local import LocalEngine, emulated
from clusterwright.model.jobspec import JobSpec

NODES = emulated(2, cpus_per_node=8)
SAY = 'echo up > "$LINES"'
HEAD = """# Start of jobs on the local engine

Written by `benchmarks/local_engine.py`; do not edit. Seconds belong to one machine, ratios to the
row *by hand* travel.
"""


class Bench:
    """An engine in a scratch directory, and the pipe that tasks speak through."""

    def __init__(self, root: Path) -> None:
        """Open the engine; its agents are started here."""
        self.lines = root / "lines"
        os.mkfifo(self.lines)
        self.ear = os.open(self.lines, os.O_RDWR)
        began = time.perf_counter()
        self.engine = LocalEngine(root / "engine", NODES)
        self.engine.open()
        self.open_s = time.perf_counter() - began
        self.count = 0

    def by_hand(self) -> float:
        """Return the time to the first line of a process started by hand."""
        began = time.perf_counter()
        env = {**os.environ, "LINES": str(self.lines)}
        process = subprocess.Popen(["/bin/sh", "-c", SAY], env=env)
        took = self.hear(began, 1)
        process.wait()
        return took

    def one_task(self) -> float:
        """Return the time to the first line of a job of one task."""
        return self.job(SAY, 1, 1)

    def gang(self) -> float:
        """Return the time to the last first line of a gang of four tasks on two nodes."""
        return self.job(SAY, 2, 4)

    def end(self) -> float:
        """Return the time from a task's end to the engine's knowing of it."""
        began = time.perf_counter()
        attempt = self.launch(SAY, 1, 1)
        self.hear(began, 1)
        began = time.perf_counter()
        self.until_over(attempt)
        took = time.perf_counter() - began
        self.engine.forget([attempt])
        return took

    def job(self, command: str, num_nodes: int, num_tasks: int) -> float:
        """Return the time until all tasks of a job have spoken."""
        began = time.perf_counter()
        attempt = self.launch(command, num_nodes, num_tasks)
        took = self.hear(began, num_tasks)
        self.until_over(attempt)
        self.engine.forget([attempt])
        return took

    def launch(self, command: str, num_nodes: int, num_tasks: int) -> Attempt:
        """Launch a job, and return its attempt."""
        self.count += 1
        attempt = Attempt(f"job-{self.count}", 1)
        spec = JobSpec(
            name="bench",
            command=command,
            num_nodes=num_nodes,
            tasks_per_node=num_tasks // num_nodes,
            env={"LINES": str(self.lines)},
        )
        shares = tuple(Share(node=node.name, num_cpus=1) for node in NODES[:num_nodes])
        self.engine.launch(Launch(attempt=attempt, spec=spec, shares=shares))
        return attempt

    def hear(self, began: float, num_lines: int) -> float:
        """Return the time since `began` once so many lines have come."""
        heard = b""
        while heard.count(b"\n") < num_lines:
            heard += os.read(self.ear, 4096)
        return time.perf_counter() - began

    def until_over(self, attempt: Attempt) -> None:
        """Wait until an attempt is seen as ended."""
        while True:
            for one in self.engine.observe().attempts:
                if one.attempt == attempt and one.phase is Phase.ENDED:
                    return
            self.engine.wait(1.0)


def agents_use(engine: LocalEngine) -> tuple[float, float]:
    """Return the largest resident memory of an agent, in MB, and the processor seconds of all."""
    memory_mb, cpu_s = 0.0, 0.0
    for node in engine.nodes:
        text = (engine.root / "nodes" / node / "agent.json").read_text()
        pid = text.split('"id": "')[1].split(":")[1]
        for line in Path("/proc", pid, "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                memory_mb = max(memory_mb, int(line.split()[1]) / 1000)
        fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
        cpu_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return memory_mb, cpu_s


def main() -> int:
    """Measure, print, and write the page where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds to watch idle agents")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the page in FILE too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch))
        cases: dict[str, Callable[[], float]] = {
            "by hand, one process": bench.by_hand,
            "one task": bench.one_task,
            "gang of 2 nodes × 2 tasks": bench.gang,
            "end of one task, until seen": bench.end,
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(options.rounds):
            for name, case in cases.items():
                times[name].append(case())
        memory_mb, before_s = agents_use(bench.engine)
        time.sleep(options.idle)
        idle_s = agents_use(bench.engine)[1] - before_s
        page = written(times, bench, memory_mb, idle_s / options.idle)
        bench.engine.shut_down()
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0


def written(
    times: dict[str, list[float]], bench: Bench, memory_mb: float, idle_fraction: float
) -> str:
    """Return the page."""
    rows = []
    yardstick = statistics.median(next(iter(times.values())))
    for name, found in times.items():
        cuts = statistics.quantiles(found, n=100, method="inclusive")
        p50_ms, p99_ms = 1000 * cuts[49], 1000 * cuts[98]
        ratio = cuts[49] / yardstick
        rows.append(f"| {name} | {p50_ms:.1f} | {p99_ms:.1f} | {ratio:.1f} |")
    rounds = len(next(iter(times.values())))
    return "\n".join(
        [
            HEAD,
            f"{rounds} rounds on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.",
            "",
            "| from the call to the first line | p50, ms | p99, ms | p50 ÷ by hand |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
            f"Opening the engine with two new agents took {1000 * bench.open_s:.0f} ms. An agent "
            f"held {memory_mb:.1f} MB; idle, both took {100 * idle_fraction:.2f} % of one core.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
