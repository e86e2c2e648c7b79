"""Does learning pay? Orders side by side on a later period, each in the twin on the same nodes.

Offline, outlooks are what was known when the period began. Online, the table learns at every step
(an hour, a day) what has ended *in the run that its own outlooks drive*: the run is made again up
to each step, which gives the same start every time, so nothing is known before it has happened.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clusterwright import learn, sched, twin
from clusterwright.learn import History, Outlook, Past
from clusterwright.model.cluster import Cluster
from clusterwright.model.job import Job
from clusterwright.twin import Outcome, Setting
from clusterwright.units import Seconds
from clusterwright.units import format as show

# How orders that are no policy of their own are run: the key stands where an estimate would.
_BY_KEY = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """What one order did to the jobs of the period."""

    name: str
    """The order."""
    knows: str
    """What it knows of run times."""
    num_jobs: int
    """Jobs of the period."""
    avg_jct_s: Seconds
    """Mean time from submission to end."""
    avg_wait_s: Seconds
    """Mean wait."""
    p50_wait_s: Seconds
    """Median wait."""
    p99_wait_s: Seconds
    """Ninety-ninth percentile of the wait."""
    max_wait_s: Seconds
    """Longest wait."""
    largest_avg_wait_s: Seconds
    """Mean wait of the largest jobs: those beyond one node, or of the largest size."""
    largest_p99_wait_s: Seconds
    """Ninety-ninth percentile of their wait."""


def orders(
    cluster: Cluster,
    jobs: Sequence[Job],
    past: Sequence[Past],
    *,
    from_s: Seconds,
    outlooks: Sequence[Outlook],
    window_s: Seconds,
    every_s: Seconds | None,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[OrderRow, ...]:
    """Run the period under each order and return what became of its jobs.

    Parameters
    ----------
    cluster
        The nodes; each queue has its own.
    jobs
        Jobs of the period, submitted from `from_s` on.
    past
        Jobs of the time before.
    from_s
        When the period begins.
    outlooks
        Outlooks of the jobs as of `from_s`, in their order.
    window_s
        How far the guard lets the largest claims be overtaken.
    every_s
        How often an online order learns; absent, there is none. It runs the period about half as
        often as there are steps with a submission.
    told
        Told of each order before it is run.
    """
    node = max(group.gpus_per_node for group in cluster.groups)
    known = _claims(past, from_s)
    claims = [learn.claim_s(one, job) for job, one in zip(jobs, outlooks, strict=True)]
    guarded = [
        learn.overtaken_until_s(job, claim, known, window_s)
        for job, claim in zip(jobs, claims, strict=True)
    ]
    plans: list[tuple[str, str, Callable[[], Outcome]]] = [
        ("fifo", "nothing", lambda: _run(cluster, jobs, "fifo")),
        ("smallest-first", "nothing", lambda: _run(cluster, jobs, "smallest")),
        ("predicted", "what was known before the period", lambda: _keyed(cluster, jobs, claims)),
        ("predicted, guarded", "the same", lambda: _keyed(cluster, jobs, guarded)),
    ]
    if every_s is not None:
        step_s = every_s
        plans.append(
            (
                "predicted, online",
                f"what had ended up to {show(step_s, Seconds)} before",
                lambda: learning_along(cluster, jobs, past, every_s=step_s),
            )
        )
    plans.append(("sjf", "true run times", lambda: _run(cluster, jobs, "sjf")))
    rows = []
    for name, knows, run in plans:
        told(name)
        rows.append(_row(name, knows, run(), node))
    return tuple(rows)


def learning_along(
    cluster: Cluster, jobs: Sequence[Job], past: Sequence[Past], *, every_s: Seconds
) -> Outcome:
    """Run jobs in the order of their claims, learning at each step what has ended by then."""
    keyed: list[Job] = []
    history = History()
    known_s = -math.inf
    coming = sorted(jobs, key=lambda job: job.submit_s)
    while coming:
        now_s = coming[0].submit_s // every_s * every_s
        here = _ends(_run(cluster, keyed, _BY_KEY, until_s=now_s)) if keyed else []
        for one in learn.ended([*past, *here], now_s, after_s=known_s):
            history.learn(one.job, one.end_s)
        known_s = now_s
        next_ones = [job for job in coming if job.submit_s < now_s + every_s]
        for job in next_ones:
            claim = learn.claim_s(history.outlook(job, now_s), job)
            keyed.append(replace(job, estimate_s=claim))
        coming = coming[len(next_ones) :]
    return _run(cluster, keyed, _BY_KEY)


def _ends(outcome: Outcome) -> list[Past]:
    pairs = zip(outcome.jobs, outcome.records, strict=True)
    return [Past(job=job, end_s=record.end_s) for job, record in pairs]


def _claims(past: Sequence[Past], from_s: Seconds) -> list[Seconds]:
    """Return the claims of the jobs of the past as they would be told now, ascending."""
    history = learn.known_at(past, from_s)
    return sorted(
        learn.claim_s(history.outlook(one.job, from_s), one.job)
        for one in past
        if one.end_s <= from_s
    )


def _keyed(cluster: Cluster, jobs: Sequence[Job], keys: Sequence[float]) -> Outcome:
    placed = [replace(job, estimate_s=key) for job, key in zip(jobs, keys, strict=True)]
    return _run(cluster, placed, _BY_KEY)


def _run(
    cluster: Cluster, jobs: Sequence[Job], policy: str, until_s: Seconds | None = None
) -> Outcome:
    return twin.run(cluster, jobs, Setting(policy=sched.policy_of(policy), horizon_s=until_s))


def _row(name: str, knows: str, outcome: Outcome, gpus_per_node: int) -> OrderRow:
    sizes = np.array([job.num_gpus_ratio for job in outcome.jobs])
    waits = np.array([record.waited_s for record in outcome.records])
    times = np.array([record.end_s - record.submit_s for record in outcome.records])
    largest = sizes > gpus_per_node
    if not largest.any():
        largest = sizes == sizes.max()
    return OrderRow(
        name=name,
        knows=knows,
        num_jobs=len(waits),
        avg_jct_s=float(times.mean()),
        avg_wait_s=float(waits.mean()),
        p50_wait_s=float(np.median(waits)),
        p99_wait_s=float(np.percentile(waits, 99)),
        max_wait_s=float(waits.max()),
        largest_avg_wait_s=float(waits[largest].mean()),
        largest_p99_wait_s=float(np.percentile(waits[largest], 99)),
    )
