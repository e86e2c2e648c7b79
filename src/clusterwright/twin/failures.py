"""Why, how often and for how long things fail: the causes, the spares, the lemons. No clocks here.

A cause strikes the accelerators of a cluster at a constant rate. It takes a node, or all nodes
under one leaf switch, or only the job that it meets. What was done between the failure and the
moment that somebody noticed is lost; a run's events stand at that moment.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np

from clusterwright import compute
from clusterwright.catalog import Catalog
from clusterwright.model.parts import FailureEffect, Hits
from clusterwright.model.work import Spread
from clusterwright.units import Fraction, PerDay, Ratio, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One way to fail."""

    name: str
    """What fails."""
    per_gpu_day: PerDay
    """Strikes at one accelerator in one day."""
    hits: Hits = "node"
    """What is lost: a node, only the job on it, or all nodes under one leaf switch."""
    detect_s: Seconds = 0.0
    """Time until it is noticed."""
    repair: Spread | None = None
    """Time until what was lost is back, log-normal; absent where nothing is to be repaired."""

    def __post_init__(self) -> None:
        """Refuse lost nodes that nobody repairs."""
        if self.hits != "job" and self.repair is None:
            msg = f"{self.name} takes nodes: say how long their repair takes"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lemons:
    """Nodes that fail again and again, and when they are taken out for good.

    The mean rate over all nodes stays that of the causes: what lemons have more, the others have
    less, until lemons are taken out.
    """

    share_fraction: Fraction
    """Share of the nodes, spares included."""
    rate_ratio: Ratio
    """How many times as often as another node they are lost, at least 1."""
    out_after: int | None = 3
    """Losses within the history after which a node is taken out; absent, it never is."""
    history_s: Seconds = math.inf
    """How far back losses count."""
    exchange_s: Seconds = 0.0
    """Time until a new node stands in the place of one that was taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How a cluster fails and comes back."""

    causes: tuple[Cause, ...]
    """Ways to fail, each with a random stream of its own."""
    swap_s: Seconds = 0.0
    """Time until a spare stands in the place of a lost node."""
    lemons: Lemons | None = None
    """Nodes that fail again and again; absent, all nodes are alike."""

    @property
    def per_gpu_day(self) -> PerDay:
        """Strikes of all causes at one accelerator in one day."""
        return math.fsum(cause.per_gpu_day for cause in self.causes)

    @property
    def repair_s(self) -> Seconds:
        """Mean time until what a strike took is back where no spare stands in; 0 for lost jobs."""
        took_s = (cause.per_gpu_day * _mean_s(cause.repair) for cause in self.causes)
        return math.fsum(took_s) / self.per_gpu_day if self.per_gpu_day else 0.0

    @property
    def long_repair_s(self) -> Seconds:
        """Time within which 95 of 100 strikes of any cause are mended; 0 for lost jobs."""
        return max((one.repair.p95_s for one in self.causes if one.repair), default=0.0)

    @classmethod
    def of_nodes(cls, *, per_gpu_day: PerDay, repair_s: Seconds) -> "Failures":
        """Return failures of one cause that takes nodes for always the same time."""
        lasts = Spread(median_s=repair_s, p95_s=repair_s)
        return cls(causes=(Cause(name="node", per_gpu_day=per_gpu_day, repair=lasts),))


def failures_of(catalog: Catalog, *, lemons: bool = False) -> Failures:
    """Return how a centre fails, by the catalogue's rates and effects.

    The rates are of a cluster that was watched as it was run, lemons included; asking for lemons
    gives a part of the rate to a few nodes.
    """
    return Failures(
        causes=tuple(cause for name in catalog.failure_rates for cause in _causes(catalog, name)),
        swap_s=catalog.default("plan.spare_swap", Seconds),
        lemons=_lemons(catalog) if lemons else None,
    )


def restart_s(catalog: Catalog) -> Seconds:
    """Return the time to load again, once a failure is noticed and what failed is replaced.

    The catalogue knows the time from failure to work; the twin plays noticing and replacing
    itself, so that the mean of the one and the time of the other are taken off.
    """
    failures = failures_of(catalog)
    noticing = [cause.per_gpu_day * cause.detect_s for cause in failures.causes]
    whole = catalog.default("plan.detect_and_restart", Seconds)
    mean = math.fsum(noticing) / failures.per_gpu_day if failures.per_gpu_day else 0.0
    return max(0.0, whole - mean - failures.swap_s)


def stream(seed: int, cause: str) -> np.random.Generator:
    """Return the random stream of one cause of chance."""
    return np.random.default_rng([seed, zlib.crc32(cause.encode())])


def _mean_s(lasts: Spread | None) -> float:
    if lasts is None:
        return 0.0
    mu, sigma = compute.lognormal(lasts)
    return math.exp(mu + sigma**2 / 2)


def _causes(catalog: Catalog, component: str) -> list[Cause]:
    """Return what may come of failures of a component; without a row it takes its node."""
    rate = catalog.failure_rates[component].per_accelerator_day
    known = [one for one in catalog.failure_effects.values() if one.component == component]
    if not known:
        lasts = catalog.default("plan.node_repair", Seconds)
        repair = Spread(median_s=lasts, p95_s=lasts)
        return [Cause(name=component, per_gpu_day=rate, repair=repair)]
    return [
        Cause(
            name=one.name,
            per_gpu_day=rate * one.share_fraction,
            hits=one.hits,
            detect_s=one.detect_s,
            repair=_repair(one),
        )
        for one in known
    ]


def _repair(effect: FailureEffect) -> Spread | None:
    if effect.hits == "job":
        return None
    return Spread(median_s=effect.repair_median_s, p95_s=effect.repair_p95_s)


def _lemons(catalog: Catalog) -> Lemons:
    return Lemons(
        share_fraction=catalog.default("twin.lemon_share", Fraction),
        rate_ratio=catalog.default("twin.lemon_ratio"),
        out_after=int(catalog.default("twin.lemon_failures")),
        history_s=catalog.default("twin.lemon_history", Seconds),
        exchange_s=catalog.default("twin.lemon_exchange", Seconds),
    )
