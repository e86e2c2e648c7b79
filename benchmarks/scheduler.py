"""Time the scheduler's own bars: cycles, admission, reclaim; and the twin on loads made by seed.

    .venv/bin/python benchmarks/scheduler.py [WORD ...]

Each row is CPU time of one core in this process. Without words all rows are measured.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import loads
import numpy as np

from clusterwright import sched, traces, twin
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.model.quota import Quota
from clusterwright.twin import Failures, Power, Setting

if TYPE_CHECKING:
    from clusterwright.model.policy import Policy

FIFO = sched.policy_of("fifo")
LEAF = sched.with_changes(FIFO, placement="leaf")
EASY = sched.with_changes(FIFO, backfill="easy", placement="leaf")
HOURLY = Power(
    idle_fraction=0.3,
    busy_fraction=0.8,
    other_power_w=1e6,
    pue_ratio=1.2,
    price_usd_per_j=tuple(1e-8 * (1 + hour / 24) for hour in range(24)),
    carbon_g_per_j=(1e-4,),
)


def job(number: int, queue: str, gpus: float, *, submit_s: float = 0.0, lasts_s: float) -> Job:
    """Return a job that may be stopped."""
    return Job(
        job_id=f"j{number}",
        queue=queue,
        submit_s=submit_s,
        duration_s=lasts_s,
        num_gpus_ratio=gpus,
        preemptible=True,
        checkpoint_interval_s=1800.0,
    )


def admission() -> str:
    """Admit 50,000 workloads over 1,000 queues that share nodes by quota."""
    queues = [f"q{i}" for i in range(1000)]
    group = NodeGroup(queue="q0", num_nodes=6250, gpus_per_node=8)
    quotas = tuple(Quota(queue=q, guarantee_ratio=50.0) for q in queues)
    jobs = tuple(job(i, queues[i % 1000], 1.0, lasts_s=1e6) for i in range(50_000))
    started = time.process_time()
    state = sched.State(Cluster(groups=(group,), quotas=quotas), jobs, FIFO, pooled=True)
    for i in range(len(jobs)):
        state.apply(Event(0.0, EventKind.SUBMIT, i))
    found = sched.cycle(state, 0.0)
    took = time.process_time() - started
    return f"{len(found.events):,} of 50,000 workloads over 1,000 queues admitted in {took:.2f} s"


def reclaim() -> str:
    """Give a queue back half of 500 nodes that another has borrowed."""
    groups = tuple(NodeGroup(queue=q, num_nodes=250, gpus_per_node=8) for q in "ab")
    quotas = tuple(Quota(queue=q, guarantee_ratio=2000.0) for q in "ab")
    borrowed = [job(i, "b", 8.0, lasts_s=1e6) for i in range(500)]
    wanted = [job(500 + i, "a", 8.0, lasts_s=1e6) for i in range(250)]
    jobs = (*borrowed, *wanted)
    state = sched.State(Cluster(groups=groups, quotas=quotas), jobs, FIFO, pooled=True)
    for i in range(500):
        state.apply(Event(0.0, EventKind.SUBMIT, i))
    sched.cycle(state, 0.0)
    started = time.process_time()
    state.apply(Event(2000.0, EventKind.SUBMIT, 500))
    sched.cycle(state, 2000.0)
    first = time.process_time() - started
    for i in range(501, 750):
        state.apply(Event(2000.0, EventKind.SUBMIT, i))
    found = sched.cycle(state, 2000.0)
    took = time.process_time() - started
    stopped = 1 + sum(event.kind is EventKind.PREEMPT for event in found.events)
    return f"reclaim at 500 nodes: first job {first * 1e3:.1f} ms, {stopped} jobs {took:.2f} s"


def cycles() -> str:
    """Time single cycles over 10,000 nodes with 10,000 jobs waiting, EASY backfill."""
    rng = np.random.default_rng(3)
    cluster = Cluster(
        groups=(NodeGroup(queue="q", num_nodes=10_000, gpus_per_node=8, nodes_per_leaf=32),)
    )
    sizes = np.minimum(2 ** rng.integers(0, 11, 24_000), 1024)
    lasts = rng.lognormal(9, 1.0, sizes.size)
    jobs = tuple(
        replace(job(i, "q", float(size), lasts_s=float(time_s)), estimate_s=float(time_s * 1.5))
        for i, (size, time_s) in enumerate(zip(sizes, lasts, strict=True))
    )
    state = sched.State(cluster, jobs, EASY)
    for i in range(11_000):
        state.apply(Event(0.0, EventKind.SUBMIT, i))
    sched.cycle(state, 0.0)
    took, coming = [], 11_000
    while coming < len(jobs) and len(took) < 2000:
        ends_s, index = min((run.end_s, i) for i, run in state.running.items())
        state.apply(Event(ends_s, EventKind.FINISH, index))
        while state.num_waiting() < 10_000 and coming < len(jobs):
            state.apply(Event(ends_s, EventKind.SUBMIT, coming))
            coming += 1
        started = time.process_time()
        sched.cycle(state, ends_s)
        took.append(time.process_time() - started)
    p50, p99 = np.percentile(took, [50, 99]) * 1e3
    return (
        f"{len(took)} cycles, 10,000 nodes, {state.num_waiting():,} waiting: "
        f"p50 {p50:.2f} ms, p99 {p99:.1f} ms"
    )


def week(load_ratio: float, policy: Policy = EASY) -> str:
    """Run 60,480 gangs on 9,472 nodes over a week, with failures and hourly prices."""
    jobs, cluster = loads.gangs(load_ratio=load_ratio), loads.machine()
    failures = Failures.of_nodes(per_gpu_day=5e-5, repair_s=7200.0)
    setting = Setting(policy=policy, failures=failures)
    started = time.process_time()
    outcome = twin.run(cluster, jobs, setting)
    status = twin.summarise("week", outcome, setting, power=HOURLY).status
    took = time.process_time() - started
    return (
        f"60,480 gangs on 9,472 nodes at {load_ratio:g} of the load, {setting.policy.backfill} "
        f"backfill: {took:.1f} s, mean wait {status.avg_wait_s:,.0f} s"
    )


def year() -> str:
    """Run a year of the worked case's demand on 100,000 accelerators, with failures and prices."""
    cluster, jobs = loads.year()
    failures = Failures.of_nodes(per_gpu_day=5e-5, repair_s=7200.0)
    setting = Setting(policy=LEAF, failures=failures, horizon_s=loads.YEAR_S)
    started = time.process_time()
    outcome = twin.run(cluster, jobs, setting)
    ran = time.process_time()
    status = twin.summarise("year", outcome, setting, power=HOURLY).status
    ended = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"{cluster.num_gpus:,} accelerators, {len(jobs):,} jobs: {ended - started:.1f} s "
        f"(run {ran - started:.1f} s), {status.gpu_allocation_fraction:.2f} allocated, "
        f"{status.num_unfinished:,} unfinished, {peak:.1f} GiB"
    )


def philly(policy: Policy = FIFO, *, shared: bool, nodes_per_leaf: int = 0) -> str:
    """Replay a month of Philly, each queue on its own nodes or lending them to each other."""
    folder = Path(__file__).resolve().parents[2] / "shared/reference/traces"
    name, table = "philly_2017-10.csv.gz", "queues_philly_tight.csv"
    jobs = traces.read_trace((folder / name).read_bytes(), file=name).jobs
    content = (folder / table).read_bytes()
    cluster = traces.read_queues(content, file=table, gpus_per_node=8)
    groups = tuple(replace(one, nodes_per_leaf=nodes_per_leaf) for one in cluster.groups)
    cluster = replace(cluster, groups=groups)
    if shared:
        quotas = traces.read_quotas(content, file=table, gpus_per_node=8)
        cluster = replace(cluster, quotas=quotas)
        saved = {"checkpoint_interval_s": 1800.0, "restart_s": 60.0}
        jobs = tuple(replace(one, preemptible=True, **saved) for one in jobs)
    started = time.process_time()
    outcome = twin.run(cluster, jobs, Setting(policy=policy, pooled=shared))
    took = time.process_time() - started
    wait_s = float(outcome.records.waited_s.mean())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (
        f"{len(jobs) / took:,.0f} jobs/s, {took:.2f} s, mean wait {wait_s:,.0f} s, {peak:.0f} MiB"
    )


ROWS = {
    "philly": lambda: philly(shared=False),
    "philly-lending": lambda: philly(shared=True),
    "philly-topology": lambda: philly(LEAF, shared=True, nodes_per_leaf=16),
    "admission": admission,
    "reclaim": reclaim,
    "cycles": cycles,
    "light": lambda: week(0.5),
    "heavy": lambda: week(1.5),
    "heavy-fifo": lambda: week(1.5, FIFO),
    "year": year,
}

if __name__ == "__main__":
    for word in sys.argv[1:] or ROWS:
        print(f"{word}: {ROWS[word]()}", flush=True)
