"""What a run of the twin comes to: the summary in all and by queue, and the hours for pictures."""

from dataclasses import dataclass
from typing import Literal

from clusterwright import documents
from clusterwright.units import Bytes, Fraction, Grams, Joules, Ratio, Seconds, Usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run came to, for one queue or for all of them."""

    num_jobs: int
    """Jobs that were through."""
    num_unfinished: int
    """Jobs that were not through when the run ended."""
    avg_jct_s: Seconds
    """Mean time from submission to end of the jobs that were through."""
    avg_wait_s: Seconds
    """Mean time in the queue of those jobs, all times they waited together."""
    p50_wait_s: Seconds
    """Median of it."""
    p95_wait_s: Seconds
    """95th percentile of it."""
    p99_wait_s: Seconds
    """99th percentile of it."""
    makespan_s: Seconds
    """From the first submission to the last end of those jobs."""
    gpu_utilization_fraction: Fraction
    """Share of the accelerator-time that moved work forward for good."""
    gpu_allocation_fraction: Fraction
    """Share of the accelerator-time that was granted to jobs."""
    goodput_fraction: Fraction
    """Share of the granted accelerator-time that moved work forward for good."""
    num_preemptions: int
    """Jobs stopped for others."""
    num_interruptions: int
    """Jobs stopped by lost nodes."""
    num_guarantees_broken: int | None
    """Times a queue below its guarantee waited more than ten minutes for what would fit; absent
    where no queue can take from another, or none has a guarantee."""
    energy_j: Joules
    """Energy of the facility during the run; of a queue, its nodes' and its share of the rest."""
    cost_usd: Usd
    """What that energy cost."""
    carbon_g: Grams
    """What it emitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSummary(Figures):
    """What a run came to for one queue."""

    name: str
    """Name of the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseFigures:
    """What one cause of failures did in a run."""

    name: str
    """Cause, as the catalogue's failure effects name it."""
    num_nodes_lost: int
    """Nodes that it took."""
    num_interruptions: int
    """Jobs that it stopped."""
    lost_gpu_s: Seconds
    """Accelerator-time of those jobs that it made vain, until it was noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingFigures:
    """What moved from the lake to the hot tier in a run."""

    num_transfers: int
    """Transfers."""
    moved_bytes: Bytes
    """What they moved."""
    hit_fraction: Fraction
    """Share of the jobs with data that found them on the hot tier; 1 when no job has any."""
    waited_s: Seconds
    """Time that jobs waited for nothing but data, all of them together."""


NodeState = Literal["busy", "idle", "asleep", "down", "spare", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFigures:
    """What the nodes in one state came to; all states sum to the whole run."""

    state: NodeState
    """What the nodes did; `other` is what storage, network and management draw."""
    node_s: Seconds
    """Time of nodes in that state, all nodes together; 0 for `other`."""
    energy_j: Joules
    """Energy, the facility's overhead not counted."""
    overhead_j: Joules
    """The facility's overhead on it: cooling and conversion."""
    cost_usd: Usd
    """What both cost."""
    carbon_g: Grams
    """What both emitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus(Figures):
    """What a whole run came to."""

    states: tuple[StateFigures, ...] = ()
    """Nodes by what they did; energy and money are 0 where no design tells their power."""
    causes: tuple[CauseFigures, ...] = ()
    """Failures by cause; empty where nothing can fail."""
    staging: StagingFigures | None = None
    """What was staged; absent where data are everywhere."""
    num_dropped_rows: int
    """Rows of a trace that could not be used; each was reported."""
    num_events: int
    """Events that happened."""
    wall_s: Seconds
    """Time that the run took on the machine that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyQueue:
    """One queue hour by hour."""

    name: str
    """Name of the queue."""
    num_gpus: int
    """Accelerators of the queue; 0 for a queue on cores."""
    used_fraction: tuple[Fraction, ...]
    """Share in use, by hour."""
    mean_waiting_ratio: tuple[Ratio, ...]
    """Mean number of waiting jobs, by hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """How a run was made."""

    policy: str
    """Order of waiting jobs."""
    placement: str
    """Where jobs went."""
    backfill: str
    """Whether later jobs could go before the first one that did not fit."""
    borrowing: bool
    """True when all queues shared all nodes."""
    seed: int
    """Seed of the random streams."""
    span_s: Seconds
    """Time that the run covers."""
    hours: tuple[HourlyQueue, ...]
    """Queues hour by hour, for pictures."""
    log_digest: str
    """SHA-256 of the event log."""


@documents.kind("Simulation", layout="spec")
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of the twin."""

    name: str
    """Name of the design or the trace."""
    spec: RunSpec
    """How it was made."""
    items: tuple[QueueSummary, ...]
    """Summary by queue."""
    status: RunStatus
    """Summary in all."""
