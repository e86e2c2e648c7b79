"""A unit of work in operation, and the words for why it waits."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from clusterwright.units import Bytes, Fraction, Ratio, Seconds

QUANTA = 7000
"""Parts of an accelerator that shares are counted in: sevenths and thousandths are whole."""


class Reason(StrEnum):
    """Why a job waits; exactly one is dominant at a time."""

    MISCONFIGURED = "MISCONFIGURED"
    """What it asks for contradicts itself, or names what does not exist."""
    NO_MATCHING_HARDWARE = "NO_MATCHING_HARDWARE"
    """No set of nodes that its queue may use could ever hold it."""
    EXCEEDS_QUOTA_LIMIT = "EXCEEDS_QUOTA_LIMIT"
    """It asks for more than the limit of its queue, or of one above it."""
    HELD_BY_USER = "HELD_BY_USER"
    """Its owner holds it."""
    HELD_BY_ADMIN = "HELD_BY_ADMIN"
    """An operator holds it."""
    DEPENDENCY = "DEPENDENCY"
    """A job that it depends on is not through."""
    BEGIN_TIME = "BEGIN_TIME"
    """Its time to begin has not come, or it waits for a better hour."""
    STAGING_DATA = "STAGING_DATA"
    """Its data are on their way to the hot tier."""
    ARRAY_LIMIT = "ARRAY_LIMIT"
    """As many tasks of its array as may be at once are in line or run."""
    WAITING_FOR_QUOTA = "WAITING_FOR_QUOTA"
    """Its queue, or one above it, is at its limit."""
    BEHIND_PRIORITY = "BEHIND_PRIORITY"
    """Another job is before it in order."""
    RESERVATION = "RESERVATION"
    """It would fit on nodes that are kept for others."""
    POWER_CAP = "POWER_CAP"
    """It would fit, but the power it draws is not to be had now."""
    WAITING_FOR_VICTIMS = "WAITING_FOR_VICTIMS"
    """Jobs that must give way to it may not be stopped yet."""
    TOPOLOGY_DOES_NOT_FIT = "TOPOLOGY_DOES_NOT_FIT"
    """Enough is free, but in pieces that do not fit it."""
    NODE_UNAVAILABLE = "NODE_UNAVAILABLE"
    """It would fit if no node were down or drained."""
    WAITING_FOR_RESOURCES = "WAITING_FOR_RESOURCES"
    """It is first in order, and what it needs is in use."""


Level = Literal["domain", "leaf", "pod"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """How close together the nodes of a gang must be."""

    level: Level
    """All nodes under one scale-up domain, one leaf switch or one pod."""
    required: bool = False
    """True when it must be so; else it is sought, and the gang spreads when it must."""
    segment_nodes: int = 0
    """Nodes of one segment: each segment stays within the level, the gang may spread over
    several; 0 keeps the whole gang together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job: it starts whole on its accelerators or cores, or not at all."""

    job_id: str
    """Its name, unique in a run."""
    queue: str
    """Queue that it waits in."""
    user: str = ""
    """Who submitted it; empty when unknown."""
    submit_s: Seconds
    """When it is submitted, from the start of the run."""
    duration_s: Seconds
    """Work on its accelerators, checkpoints and interruptions not counted."""
    num_gpus_ratio: Ratio = 0.0
    """Accelerators, a share of one below 1; 0 for a job on cores."""
    num_cpus: int = 0
    """Cores in all; what it is placed by where it takes no accelerator."""
    num_nodes: int = 0
    """Nodes that it takes equal parts of; 0 leaves that to the placement."""
    memory_bytes: Bytes = 0.0
    """Host memory in all; 0 when it does not say."""
    gpu_models: tuple[str, ...] = ()
    """Accelerators that it may run on; empty for any."""
    memory_bound_fraction: Fraction | None = None
    """Part of its time, on the fastest accelerator that it may run on, that waits for memory; the
    rest waits for arithmetic. Absent when unknown."""
    priority: int = 0
    """Higher goes first."""
    estimate_s: Seconds | None = None
    """Duration as guessed beforehand; absent, policies that guess take the true one."""
    checkpoint_interval_s: Seconds | None = None
    """Work between checkpoints; absent, an interruption loses all work."""
    checkpoint_stall_s: Seconds = 0.0
    """Time that one checkpoint stops the work."""
    restart_s: Seconds = 0.0
    """Time to load a checkpoint after an interruption."""
    preemptible: bool = False
    """True when a policy may interrupt it for another."""
    project: str = ""
    """Project that pays for it; empty when unknown."""
    time_limit_s: Seconds | None = None
    """Longest time on its accelerators, after which it is stopped; absent for none."""
    start_after_s: Seconds | None = None
    """Earliest start, from the start of the run; absent for at once."""
    deadline_s: Seconds | None = None
    """When it should be through, from the start of the run; absent for none."""
    depends_on: tuple[str, ...] = ()
    """Names of jobs that must be through before it may start."""
    held: bool = False
    """True when it is submitted on hold."""
    array: str = ""
    """Array that it is a task of; empty for none that bounds its tasks."""
    array_at_once: int = 0
    """Tasks of that array that may run at once; 0 for all."""
    topology: Topology | None = None
    """How close together its nodes must be; absent for wherever the placement puts them."""
    min_gpus_ratio: Ratio | None = None
    """Fewest accelerators that it can run on; absent when it runs on all of them or not at all."""
    dataset: str = ""
    """Data that it reads; empty for none that need to be near."""
    dataset_bytes: Bytes = 0.0
    """How much of it."""

    @property
    def quanta(self) -> int:
        """What it takes of its queue: accelerator quanta, or cores where it takes none.

        Above one accelerator it takes whole ones.
        """
        if not self.num_gpus_ratio:
            return self.num_cpus
        quanta = max(1, round(self.num_gpus_ratio * QUANTA))
        return quanta if quanta <= QUANTA else -(-quanta // QUANTA) * QUANTA

    @property
    def guess_s(self) -> Seconds:
        """How long it is expected to run: its estimate, else its limit, else the true duration."""
        if self.estimate_s is not None:
            return max(0.0, self.estimate_s)
        return self.duration_s if self.time_limit_s is None else self.time_limit_s
