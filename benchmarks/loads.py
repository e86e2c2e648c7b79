"""Loads that the scheduler and the twin are timed on, made by seed.

`gangs` follows the shape of a large HPC system: 9,472 nodes of four accelerators, 60,480 gang jobs
over seven days (one every ten seconds), most of them small, a few that take a fifth of the machine.
`load_ratio` sets how much of the machine they ask for together; above 1 thousands wait.

`year` is the worked case grown to 100,000 accelerators: its design's pools 93 times as large, its
jobs `GROWN` times as large each (one accelerator becomes a server), and as many centres of such
jobs as fill the accelerators, the campaigns of every other one in the weeks in which those of its
neighbour rest.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from clusterwright import catalog, plan, twin
from clusterwright.cli import load
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job

NUM_NODES = 9472
NUM_JOBS = 60_480
SPAN_S = 7 * 86_400.0
GPUS_PER_NODE = 4
YEAR_S = 365 * 86_400.0
GROWN = 8
REST_S = 14 * 86_400.0


def machine(num_nodes: int = NUM_NODES, gpus_per_node: int = GPUS_PER_NODE) -> Cluster:
    """Return the nodes, 128 under a leaf switch, 8 leaves to a pod."""
    group = NodeGroup(
        queue="all",
        num_nodes=num_nodes,
        gpus_per_node=gpus_per_node,
        nodes_per_leaf=128,
        leaves_per_pod=8,
        node_power_w=4000.0,
    )
    return Cluster(groups=(group,))


def gangs(*, load_ratio: float, seed: int = 1, num_jobs: int = NUM_JOBS) -> tuple[Job, ...]:
    """Return gang jobs that ask for `load_ratio` of the machine's node-hours together."""
    rng = np.random.default_rng(seed)
    submit = np.sort(rng.uniform(0, SPAN_S, num_jobs))
    nodes = np.minimum(np.ceil(rng.lognormal(1.6, 1.6, num_jobs)), NUM_NODES // 5)
    duration = np.clip(rng.lognormal(8.2, 1.1, num_jobs), 60.0, 86_400.0)
    asked = float(nodes @ duration)
    duration *= load_ratio * NUM_NODES * SPAN_S / asked
    guess = duration * rng.uniform(1.0, 3.0, num_jobs)  # users ask for more time than they need
    return tuple(
        Job(
            job_id=f"g{i}",
            queue="all",
            user=f"u{i % 200}",
            submit_s=float(submit[i]),
            duration_s=float(duration[i]),
            num_gpus_ratio=float(nodes[i]) * GPUS_PER_NODE,
            estimate_s=float(guess[i]),
            checkpoint_interval_s=3600.0,
            checkpoint_stall_s=30.0,
            restart_s=120.0,
        )
        for i in range(num_jobs)
    )


def year(num_gpus: int = 100_000) -> tuple[Cluster, list[Job]]:
    """Return the worked case's nodes and a year of its demand, grown to so many accelerators."""
    example = Path(__file__).resolve().parents[1] / "examples/autonomous-driving/centre.yaml"
    parts = catalog.load()
    demand, _ = load.demand(str(example))
    design = plan.plan(demand, parts)
    small = twin.cluster_of(design, parts)
    larger = num_gpus / small.num_gpus
    cluster = replace(
        small, groups=tuple(replace(g, num_nodes=round(g.num_nodes * larger)) for g in small.groups)
    )
    with_gpus = {group.queue for group in small.groups if group.gpus_per_node}
    centres = int(larger / GROWN)
    jobs = [
        _grown(job, centre)
        for centre in range(2 * centres)  # campaigns take half of the time
        for job in twin.jobs_of(demand, design, parts, horizon_s=YEAR_S, seed=centre)
        if job.queue in with_gpus or centre < centres
    ]
    return cluster, jobs


def _grown(job: Job, centre: int) -> Job:
    shares = 0 < job.num_gpus_ratio < 1
    campaign = job.checkpoint_interval_s is not None
    return replace(
        job,
        job_id=f"{centre}/{job.job_id}",
        submit_s=job.submit_s + (REST_S if campaign and centre % 2 else 0.0),
        num_gpus_ratio=job.num_gpus_ratio * (1 if shares else GROWN),
        num_cpus=job.num_cpus * GROWN,
    )
