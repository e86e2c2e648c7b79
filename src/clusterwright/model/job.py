"""A unit of work in operation, and the words for why it waits."""

from dataclasses import dataclass
from enum import StrEnum

from clusterwright.units import Ratio, Seconds

QUANTA = 7000
"""Parts of an accelerator that shares are counted in: sevenths and thousandths are whole."""


class Reason(StrEnum):
    """Why a job waits; exactly one is dominant at a time."""

    NO_MATCHING_HARDWARE = "NO_MATCHING_HARDWARE"
    """No node of its queue could ever hold it."""
    WAITING_FOR_RESOURCES = "WAITING_FOR_RESOURCES"
    """It is first in order, and what it needs is in use."""
    BEHIND_PRIORITY = "BEHIND_PRIORITY"
    """Another job of its queue is before it in order."""
    TOPOLOGY_DOES_NOT_FIT = "TOPOLOGY_DOES_NOT_FIT"
    """Enough is free, but in pieces that do not fit it."""
    NODE_UNAVAILABLE = "NODE_UNAVAILABLE"
    """It would fit if no node were down."""


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
    """Cores; used where it takes no accelerator."""
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

    @property
    def quanta(self) -> int:
        """What it takes of its queue: accelerator quanta, or cores where it takes none."""
        if self.num_gpus_ratio:
            return max(1, round(self.num_gpus_ratio * QUANTA))
        return self.num_cpus
