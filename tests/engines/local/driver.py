"""A small server for tests that kill servers: keeps jobs going until all of them are through.

    python -m tests.engines.local.driver ROOT FOLDER NUM_JOBS

Its journal is a file with one line for each attempt, written before the attempt is launched.
"""

import json
import os
import sys
from pathlib import Path

from clusterwright.engines import Attempt, End, Launch, Phase, Share
from clusterwright.engines.local import LocalEngine, emulated
from clusterwright.model.jobspec import JobSpec

NODES = emulated(3, cpus_per_node=64)
# Without them unless asked: that is the harder case.
CGROUPS = os.environ.get("CLUSTERWRIGHT_TEST_CGROUPS") == "on"
TASK = Path(__file__).parent / "counting_task.py"


def launch_of(folder: Path, job: int, number: int) -> Launch:
    """Return the order of one attempt: a gang of two nodes, moved on by one for each attempt."""
    names = [node.name for node in NODES]
    shift = (job + number) % len(names)
    order = (names[shift:] + names[:shift])[:2]
    spec = JobSpec(
        name="counting",
        command=(sys.executable, "-I", "-S", str(TASK), str(folder), str(job)),
        num_nodes=2,
    )
    shares = tuple(Share(node=node, num_cpus=1) for node in order)
    return Launch(attempt=Attempt(f"job-{job}", number), spec=spec, shares=shares)


def main(root: Path, folder: Path, num_jobs: int) -> None:
    """Run until every job has completed, or until killed."""
    journal = folder / "journal"
    engine = LocalEngine(root, NODES, kill_after_s=0.2, cgroups=CGROUPS)
    engine.open()
    numbers = dict.fromkeys(range(num_jobs), 0)
    done = set()
    for line in journal.read_text().splitlines() if journal.exists() else ():
        # A torn line was not followed by a launch.
        if line.endswith("]"):
            job, number = json.loads(line)
            numbers[job] = max(numbers[job], number)

    def begin(job: int) -> None:
        numbers[job] += 1
        with journal.open("a") as file:
            file.write(f"\n{json.dumps([job, numbers[job]])}")
            file.flush()
            os.fsync(file.fileno())
        engine.launch(launch_of(folder, job, numbers[job]))

    for job, number in numbers.items():
        # What was journalled may have been launched or not: given again, it starts once.
        if number:
            engine.launch(launch_of(folder, job, number))
        else:
            begin(job)
    while len(done) < num_jobs:
        seen = {one.attempt: one for one in engine.observe().attempts}
        for job in set(numbers) - done:
            one = seen.get(Attempt(f"job-{job}", numbers[job]))
            if one is None:
                continue
            if one.phase is Phase.LOST:
                engine.fence(one.attempt)
            elif one.end is End.COMPLETED:
                done.add(job)
            elif one.phase is Phase.ENDED:
                begin(job)
        engine.wait(0.2)
    (folder / "through").touch()
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
