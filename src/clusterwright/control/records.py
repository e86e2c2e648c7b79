"""What the control plane knows of a job and of its attempts."""

from dataclasses import dataclass, field
from enum import StrEnum

from clusterwright.engines import Attempt, End, Share
from clusterwright.model.jobspec import JobSpec
from clusterwright.units import Flop


class JobState(StrEnum):
    """How far a job is."""

    PENDING = "PENDING"
    """It waits; `why` says for what."""
    HELD = "HELD"
    """It is held, by its owner or an operator."""
    STAGING = "STAGING"
    """Its data are on their way."""
    STARTING = "STARTING"
    """It has its nodes; its tasks are about to start."""
    RUNNING = "RUNNING"
    """Its tasks run."""
    CHECKPOINTING = "CHECKPOINTING"
    """It has been warned and saves its work."""
    PREEMPTED = "PREEMPTED"
    """It gave way to another job, and is queued again."""
    REQUEUED = "REQUEUED"
    """It ended badly or was sent back, and is queued again."""
    COMPLETED = "COMPLETED"
    """Every task returned 0."""
    FAILED = "FAILED"
    """A task returned something else."""
    CANCELLED = "CANCELLED"
    """Somebody took it back."""
    TIMEOUT = "TIMEOUT"
    """It reached its time limit."""
    NODE_FAIL = "NODE_FAIL"
    """A node under it was lost, once more than it is retried."""

    @property
    def is_final(self) -> bool:
        """Return whether nothing more will happen to it."""
        return self in _FINAL

    @property
    def waits(self) -> bool:
        """Return whether it is in a queue."""
        return self in _WAITING


_FINAL = {
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.TIMEOUT,
    JobState.NODE_FAIL,
}
_WAITING = {JobState.PENDING, JobState.HELD, JobState.STAGING, JobState.REQUEUED}
_WAITING |= {JobState.PREEMPTED}


@dataclass(slots=True)
class AttemptRecord:
    """One start of a job."""

    attempt: Attempt
    """Which."""
    shares: tuple[Share, ...]
    """What it was given."""
    decided_s: float
    """When the scheduler gave it that."""
    asked_s: float | None = None
    """When the engine was first asked to start it."""
    resume_from: str = ""
    """Checkpoint that it goes on from; empty for a fresh start."""
    started_s: float | None = None
    """When its first task began."""
    renewed_s: float | None = None
    """When its lease was last renewed by word; absent for never."""
    silent_since_s: float | None = None
    """Its last report, once it has been silent for too long; absent while it has not."""
    stragglers: tuple[int, ...] = ()
    """Ranks that work much longer in a step than the others."""
    released_s: float | None = None
    """When the scheduler took its nodes back."""
    lost_s: float = 0.0
    """Time on its nodes whose work was lost when it was stopped."""
    stop: str = ""
    """Why it is being stopped: preempt, cancel, requeue, node_fail; empty while it is not."""
    ended_s: float | None = None
    """When its last task ended."""
    end: End | None = None
    """How it ended."""
    message: str = ""
    """What a person should know of its end."""
    exit_codes: tuple[int | None, ...] = ()
    """By rank."""
    cpu_s: float = 0.0
    """Processor time of its tasks."""
    energy_j: float | None = None
    """Energy that it drew, where measured."""
    nodes: tuple[str, ...] = ()
    """Where it ran, in the order of ranks."""
    tokens: float = 0.0
    """Tokens that it reported."""
    samples: float = 0.0
    """Samples that it reported."""
    work_flop: Flop = 0.0
    """Operations of its model that it reported."""

    @property
    def is_over(self) -> bool:
        """Return whether nothing of it runs any more."""
        return self.end is not None


@dataclass(slots=True)
class Record:
    """A job, as far as it has come."""

    job_id: str
    """Its id."""
    index: int
    """Its number in the scheduler's state."""
    spec: JobSpec
    """The job as its owner wrote it."""
    owner: str
    """Name of the token that submitted it."""
    submit_s: float
    """When."""
    state: JobState
    """How far it is."""
    since_s: float
    """Since when it is in that state."""
    seq: int
    """Number of the last entry about it: the version that changes are checked against."""
    message: str = ""
    """What a person should know of its state."""
    array: str = ""
    """Id of the array that it is a task of; empty for none."""
    task: int | None = None
    """Its number in the array."""
    key: tuple[str, str] | None = None
    """Idempotency key that it was submitted with, and digest of what was submitted."""
    retries: int = 0
    """Times that it was queued again after a bad end."""
    attempts: list[AttemptRecord] = field(default_factory=list)
    """Its starts, the latest one last."""
    step: int | None = None
    """Last step that it reported."""
    tokens: float = 0.0
    """Tokens that it reported in all."""
    samples: float = 0.0
    """Samples that it reported in all."""
    report_offset: int = 0
    """How far the report of its latest start has been read."""
    checkpoint_step: int | None = None
    """Step of its newest complete checkpoint."""
    checkpoint_path: str = ""
    """Where that is."""
    checkpoint_s: float | None = None
    """When that became complete."""

    @property
    def current(self) -> AttemptRecord | None:
        """Return its latest start; None when it never started."""
        return self.attempts[-1] if self.attempts else None
