"""Which accelerators jobs try, where they differ: the fastest first, or what they make best use of.

Drawn jobs, and with the traces at hand the jobs of Philly in October 2017, on nodes of two or three
models; a memory-bound part is drawn for each job, or for each queue of Philly. The bounds of
`twin.matching` were chosen on other seeds, with A100 beside L40S, H100 or both. Run alone:
`python benchmarks/matching.py [drawn|philly|moves]`; it counts in time of the twin, so that any
machine does.
"""

import csv
import gzip
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from clusterwright import catalog, twin
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import EventKind
from clusterwright.model.job import Job
from clusterwright.sched import policy_of
from clusterwright.twin.matching import matched

SEEDS = (11, 12, 13)
LOADS = (0.3, 0.5, 0.7, 0.9, 1.1)
CENTRES = {
    "A100, L40S": {"A100-SXM4-80GB": 16, "L40S": 16},
    "A100, L40S, H100": {"A100-SXM4-80GB": 16, "L40S": 16, "H100-SXM5-80GB": 8},
    "H800, H20": {"H800-SXM5-80GB": 16, "H20-96GB": 16},
    "H100, H200, V100": {"H100-SXM5-80GB": 12, "H200-SXM-141GB": 8, "V100-SXM2-32GB": 16},
}
PHILLY_CENTRES = {
    "A100, L40S, H100": {"A100-SXM4-80GB": 40, "L40S": 40, "H100-SXM5-80GB": 20},
    "H800, H20": {"H800-SXM5-80GB": 50, "H20-96GB": 50},
}
EASY = replace(policy_of("fifo"), name="easy", backfill="easy")
PHILLY = Path(__file__).parents[2] / "shared/reference/traces/philly_2017-10.csv.gz"


def cluster_of(nodes: dict[str, int]) -> Cluster:
    """Return one queue over nodes of several models."""
    return Cluster(
        groups=tuple(
            NodeGroup(queue="q", num_nodes=count, gpus_per_node=8, gpu_model=model)
            for model, count in nodes.items()
        )
    )


def drawn(seed: int, count: int = 3000) -> list[Job]:
    """Return jobs of which a third each waits for memory, for arithmetic, and for both."""
    rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
    jobs = []
    for number in range(count):
        low, high = rng.choice(((0.0, 0.2), (0.4, 0.6), (0.75, 1.0)))
        jobs.append(
            Job(
                job_id=f"j{number}",
                queue="q",
                submit_s=rng.random(),
                duration_s=min(2 * 86400.0, rng.lognormvariate(8.0, 1.3)),
                num_gpus_ratio=float(rng.choice((1, 1, 1, 2, 4, 8, 8, 16))),
                memory_bound_fraction=rng.uniform(low, high),
            )
        )
    return sorted(jobs, key=lambda job: job.submit_s)


def philly(most: float = 16.0) -> list[Job]:
    """Return the jobs of October of at most so many accelerators; queues differ in what bounds."""
    rng = random.Random(7)  # noqa: S311 - as above
    bound: dict[str, float] = {}
    jobs = []
    with gzip.open(PHILLY, "rt") as file:
        for row in csv.DictReader(file):
            if not 1 <= float(row["gpus"] or 0) <= most:
                continue
            mean = bound.setdefault(row["vc"], rng.random())
            part = min(1.0, max(0.0, rng.gauss(mean, 0.1)))
            jobs.append(
                Job(
                    job_id=row["job_id"],
                    queue="q",
                    submit_s=float(row["submit_s"]),
                    duration_s=float(row["duration_s"]),
                    num_gpus_ratio=float(row["gpus"]),
                    memory_bound_fraction=part,
                )
            )
    return sorted(jobs, key=lambda job: job.submit_s)


def at_load(jobs: Sequence[Job], cluster: Cluster, load: float) -> list[Job]:
    """Return jobs that come at such a pace that the best match has a load."""
    scale = matched(cluster, jobs, bounds_of(cluster)).pools["q"].load_ratio / load
    return [replace(job, submit_s=job.submit_s * scale) for job in jobs]


def bounds_of(cluster: Cluster) -> dict[str, twin.Roofline]:
    """Return what the accelerators of a cluster can do."""
    return twin.rooflines([group.gpu_model for group in cluster.groups], catalog.load())


def mean_s(cluster: Cluster, jobs: Sequence[Job], matching: str, typical: Sequence[Job]) -> float:
    """Return the mean time from submission to end."""
    bounds = bounds_of(cluster)
    speeds = twin.Speeds(rooflines=bounds)
    if matching == "any":
        ready = tuple(jobs)
    elif matching == "faster first, alike for all":
        by_mean = tuple(sorted(bounds, key=lambda name: -bounds[name].mean))
        ready = tuple(replace(job, gpu_models=by_mean) for job in jobs)
    elif matching == "fastest":
        ready = twin.fastest_first(jobs, bounds)
    else:
        seen = typical if matching == "best, by others" else ()
        found = matched(cluster, jobs, bounds, typical=seen)
        ready, speeds = found.jobs, replace(speeds, usable=found.usable)
    played = twin.run(cluster, ready, twin.Setting(policy=EASY), rate=speeds.on(cluster))
    submit = np.array([job.submit_s for job in played.jobs])
    return float(np.mean(played.records.end_s - submit))


METHODS = ("any", "faster first, alike for all", "fastest", "best", "best, by others")


def show_drawn() -> None:
    """Print mean times to end, over those of the fastest first."""
    for name, nodes in CENTRES.items():
        cluster = cluster_of(nodes)
        for load in LOADS:
            rows = []
            for seed in SEEDS:
                jobs = at_load(drawn(seed), cluster, load)
                typical = at_load(drawn(seed + 100), cluster, load)
                rows.append([mean_s(cluster, jobs, one, typical) for one in METHODS])
            table = np.array(rows)
            ratio = table / table[:, [METHODS.index("fastest")]]
            cells = " | ".join(f"{one:.2f}" for one in ratio.mean(axis=0))
            print(f"| {name} | {load} | {table[:, 2].mean():,.0f} s | {cells} |", flush=True)


def show_philly() -> None:
    """Print the same for the later half of October 2017; the earlier one is the others."""
    jobs = philly()
    middle = jobs[len(jobs) // 2].submit_s / jobs[-1].submit_s
    for name, nodes in PHILLY_CENTRES.items():
        cluster = cluster_of(nodes)
        for load in (0.7, 0.9, 1.1):
            paced = at_load(jobs, cluster, load)
            half = middle * paced[-1].submit_s
            earlier = [job for job in paced if job.submit_s < half]
            later = [job for job in paced if job.submit_s >= half]
            row = [mean_s(cluster, later, one, earlier) for one in METHODS]
            cells = " | ".join(f"{one / row[2]:.2f}" for one in row)
            print(f"| Philly, {name} | {load} | {row[2]:,.0f} s | {cells} |", flush=True)


def show_moves() -> None:
    """Print what moving jobs together does for those that take a node or more."""
    jobs = [
        replace(
            job,
            preemptible=True,
            memory_bound_fraction=None,
            checkpoint_interval_s=1800.0,
            checkpoint_stall_s=29.0,
            restart_s=120.0,
        )
        for job in philly(most=float("inf"))
    ]
    gather = policy_of("gather")
    for nodes in (69, 80, 100):
        cluster = cluster_of({"": nodes})
        held_s = 0.0
        for policy in (replace(gather, name="easy", preempt=()), gather):
            played = twin.run(cluster, jobs, twin.Setting(policy=policy))
            waits = played.records.waited_s
            wide = np.array([job.num_gpus_ratio >= 8 for job in played.jobs])
            moves = sum(event.kind is EventKind.PREEMPT for event in played.log.events())
            held_s = held_s or float(played.records.held_s.sum())
            print(
                f"| {nodes} | {policy.name} | {waits.mean():,.0f} s "
                f"| {np.percentile(waits, 95):,.0f} s | {waits[wide].mean():,.0f} s ({wide.sum()}) "
                f"| {moves} | {played.records.held_s.sum() / held_s:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    print("| centre | load | fastest | " + " | ".join(METHODS) + " |")
    chosen = sys.argv[1:] or ("drawn", "philly", "moves")
    if "drawn" in chosen:
        show_drawn()
    if "philly" in chosen and PHILLY.exists():
        show_philly()
    if "moves" in chosen and PHILLY.exists():
        show_moves()
