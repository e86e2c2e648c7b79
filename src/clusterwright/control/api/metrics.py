"""`/metrics`: the centre in the exposition format of Prometheus, read from the book when asked."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from clusterwright import __version__
from clusterwright.control import accounts
from clusterwright.control.api import access
from clusterwright.control.api.access import Bearer, TheConductor
from clusterwright.control.auth import EVERY
from clusterwright.control.book import Book
from clusterwright.control.conductor import Conductor

router = APIRouter(tags=["health"])
_WAITS_S = (1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 4 * 3600.0, 86400.0)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, conductor: TheConductor, given: Bearer) -> Response:
    """Return every series of the centre; only a server told so shows them without a token."""
    if not request.app.state.open_metrics:
        caller = await access.caller_of(request, given)
        if EVERY not in caller.projects:
            caller.need("operator")
    registry = CollectorRegistry()
    registry.register(_Centre(conductor))
    text = await asyncio.to_thread(generate_latest, registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class _Centre(Collector):
    """Reads the book while nobody changes it."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def collect(self) -> Iterable[Metric]:
        conductor = self._conductor
        with conductor.reading() as book:
            found = [*_jobs(book), *_nodes(book), *_queues(book)]
            found += _money(book, conductor.clock.now_s())
        found += conductor.turns.collect()
        damaged = GaugeMetricFamily(
            "clusterwright_journal_damaged", "Whether an old entry of the journal is damaged."
        )
        damaged.add_metric([], bool(conductor.proof.damage))
        info = InfoMetricFamily("clusterwright_build", "What this server is.")
        info.add_metric([], {"version": __version__})
        return [*found, damaged, info]


def _health(book: Book) -> Iterable[Metric]:
    hung = GaugeMetricFamily(
        "clusterwright_hung_jobs", "Running jobs that report but are silent.", labels=["queue"]
    )
    slow = GaugeMetricFamily(
        "clusterwright_straggling_ranks",
        "Ranks of running gangs that work much longer in a step than the others.",
        labels=["queue"],
    )
    silent: Counter[str] = Counter()
    lagging: Counter[str] = Counter()
    for one in book.active.values():
        current = one.current
        if current is not None and current.released_s is None:
            silent[one.spec.queue] += bool(current.silent_since_s)
            lagging[one.spec.queue] += len(current.stragglers)
    for metric, counts in ((hung, silent), (slow, lagging)):
        for queue, count in sorted(counts.items()):
            if count:
                metric.add_metric([queue], count)
    return hung, slow


def _jobs(book: Book) -> Iterable[Metric]:
    states = GaugeMetricFamily(
        "clusterwright_jobs", "Jobs by state and queue.", labels=["state", "queue"]
    )
    counts = Counter((str(one.state), one.spec.queue) for one in book.order)
    for labels, count in sorted(counts.items()):
        states.add_metric(list(labels), count)
    info = InfoMetricFamily(
        "clusterwright_job",
        "Jobs that are not through.",
        labels=["job_id", "name", "user", "project", "queue"],
    )
    for one in book.active.values():
        labels_ = [one.job_id, one.spec.name, one.owner, one.spec.project, one.spec.queue]
        info.add_metric(labels_, {})
    waits = [first.decided_s - one.submit_s for one in book.order for first in one.attempts[:1]]
    wait = HistogramMetricFamily(
        "clusterwright_queue_wait_seconds", "From a job's submission to its first start."
    )
    wait.add_metric([], _buckets(waits, _WAITS_S), sum(waits))
    stops = Counter(attempt.stop for one in book.order for attempt in one.attempts if attempt.stop)
    preempted = CounterMetricFamily(
        "clusterwright_preemptions", "Starts that ended before their job did.", labels=["reason"]
    )
    for reason, count in sorted(stops.items()):
        if reason not in ("completed", "cancelled"):
            preempted.add_metric([reason], count)
    lost = CounterMetricFamily(
        "clusterwright_lost_gpu_seconds", "Work that interruptions made vain.", labels=["cause"]
    )
    sums: defaultdict[str, float] = defaultdict(float)
    ran = 0.0
    for one in book.order:
        for attempt in one.attempts:
            gpus = sum(len(share.gpus) * share.gpu_fraction for share in attempt.shares)
            if attempt.started_s is not None:
                end_s = attempt.ended_s or book.time_s
                ran += gpus * max(0.0, end_s - attempt.started_s)
            if attempt.lost_s:
                sums[attempt.stop or str(attempt.end)] += gpus * attempt.lost_s
    for cause, seconds in sorted(sums.items()):
        lost.add_metric([cause], seconds)
    goodput = GaugeMetricFamily(
        "clusterwright_goodput_ratio", "Accelerator-time of starts that was not made vain."
    )
    goodput.add_metric([], 1.0 - sum(sums.values()) / ran if ran else 1.0)
    return [states, info, *_health(book), wait, preempted, lost, goodput]


def _nodes(book: Book) -> Iterable[Metric]:
    gpus = GaugeMetricFamily(
        "clusterwright_gpus", "Accelerators by state.", labels=["state", "gpu_model"]
    )
    power = GaugeMetricFamily(
        "clusterwright_node_power_watts", "What a node draws, as modelled.", labels=["node"]
    )
    counts: defaultdict[tuple[str, str], float] = defaultdict(float)
    rates = book.centre.rates
    for index, name in enumerate(book.node_names):
        group, pool = book.group_of(name), book.state.pool_at[index]
        size = pool.size_at(index)
        held = (size - pool.free_at(index)) / size if size else 0.0
        away = name in book.down
        used = group.num_gpus * held
        counts["allocated", group.gpu_kind] += used
        rest = "down" if away or name in book.drained else "idle"
        counts[rest, group.gpu_kind] += group.num_gpus - used
        share = held * accounts.busy_of(rates) + (1 - held) * accounts.idle_of(rates)
        power.add_metric([name], 0.0 if away else group.power_w * share)
    for labels, count in sorted(counts.items()):
        gpus.add_metric(list(labels), count)
    return [gpus, power]


def _queues(book: Book) -> Iterable[Metric]:
    quota = GaugeMetricFamily(
        "clusterwright_quota_gpus",
        "What queues are owed, allowed, and use; cores on nodes without accelerators.",
        labels=["queue", "kind"],
    )
    scale = next(iter(book.state.pools.values())).scale if book.state.pools else 1
    for one in book.centre.queues:
        quota.add_metric([one.queue, "guarantee"], one.guarantee_ratio)
        if one.deserved_ratio is not None:
            quota.add_metric([one.queue, "deserved"], one.deserved_ratio)
        if one.limit_ratio is not None:
            quota.add_metric([one.queue, "limit"], one.limit_ratio)
        quota.add_metric([one.queue, "used"], book.state.accounts[one.queue].used / scale)
    return [quota]


def _money(book: Book, now_s: float) -> Iterable[Metric]:
    found = accounts.statement(book, 0.0, now_s, by="project")
    cost = CounterMetricFamily(
        "clusterwright_cost_usd", "Cost by project.", labels=["project", "basis"]
    )
    energy = CounterMetricFamily("clusterwright_job_energy_joules", "Energy of all jobs.")
    carbon = CounterMetricFamily("clusterwright_carbon_grams", "Carbon of the centre.")
    for one in found.items:
        cost.add_metric([one.name, "allocation"], one.cost_usd)
    for rest in (found.idle, found.down, found.overhead):
        cost.add_metric([rest.name, "allocation"], rest.cost_usd)
    energy.add_metric([], sum(one.energy_j for one in found.items))
    carbon.add_metric([], found.bill.carbon_g)
    return [cost, energy, carbon]


def _buckets(values: Iterable[float], bounds: Iterable[float]) -> list[tuple[str, float]]:
    known = list(values)
    found = [(str(bound), float(sum(value <= bound for value in known))) for bound in bounds]
    return [*found, ("+Inf", float(len(known)))]
