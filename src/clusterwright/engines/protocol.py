"""What an engine must be able to do: carry decisions out, and tell what it sees.

An engine decides nothing about who runs where. Every order may be given twice with the effect of
once: the control plane repeats what it cannot see done. Times are seconds since 1970.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from clusterwright.errors import ClusterwrightError, ExitCode
from clusterwright.model.jobspec import JobSpec
from clusterwright.units import Bytes, Fraction, Joules, Seconds

Stream = Literal["out", "err"]
OURS = "clusterwright: "
"""What the reason of a drain begins with when the control plane asked for it."""


class OutOfReach(ClusterwrightError):
    """The engine does not answer; nothing may be concluded from its silence."""

    exit_code = ExitCode.TARGET


class Refused(ClusterwrightError):
    """The engine will never carry this order out, whatever happens; the message says why."""

    exit_code = ExitCode.TARGET


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """One start of a job; a job that is queued again starts as the next attempt."""

    job_id: str
    """The job."""
    number: int
    """Which start it is, from 1."""

    def __str__(self) -> str:
        """Return `job_id.number`."""
        return f"{self.job_id}.{self.number}"


class Phase(StrEnum):
    """How far an attempt is, by what the engine sees."""

    PENDING = "pending"
    """The engine has the order and has started nothing yet."""
    RUNNING = "running"
    """At least one of its tasks runs or is about to."""
    STOPPING = "stopping"
    """It has been told to stop."""
    ENDED = "ended"
    """Nothing of it runs any more, and nothing of it can start any more."""
    LOST = "lost"
    """A node under it is gone; what is left of it is not proved gone yet: `fence` does that."""


class End(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    """Every task returned 0."""
    FAILED = "failed"
    """A task returned something else, or was killed by a signal that nobody here sent."""
    STOPPED = "stopped"
    """It ended because `stop` was called."""
    TIMEOUT = "timeout"
    """The engine stopped it at its time limit."""
    NODE_FAIL = "node_fail"
    """A node under it was lost."""
    NOT_STARTED = "not_started"
    """It could not be started: no such program, no such directory; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can and cannot do."""

    places: bool
    """It starts a job on the very nodes it is told; else its own scheduler places (delegate)."""
    devices: bool
    """It binds the very accelerators it is told; else it picks free ones of the node."""
    emulates: bool = False
    """Its nodes are emulated on this machine: for development and tests."""
    limits_memory: bool = False
    """It holds tasks to the memory asked for."""
    isolates_devices: bool = False
    """A task cannot reach accelerators that are not its own."""
    isolates_files: bool = False
    """A task cannot see what the centre keeps for others: files, secrets, processes."""
    images: bool = False
    """It runs container images."""
    measures_energy: bool = False
    """It reads the energy that attempts draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an attempt gets of one node."""

    node: str
    """Name of the node."""
    gpus: tuple[int, ...] = ()
    """Accelerators of the node, by index; empty for a job on cores."""
    gpu_fraction: Fraction = 1.0
    """Part of that one accelerator, where the job takes a share."""
    num_cpus: int = 0
    """Cores."""
    memory_bytes: Bytes = 0.0
    """Host memory; 0 for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The order to start an attempt."""

    attempt: Attempt
    """Which."""
    spec: JobSpec
    """The job as its owner wrote it."""
    shares: tuple[Share, ...]
    """Nodes in the order of ranks: neighbours are close together. In delegate mode it is empty."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of the centre (CLUSTERWRIGHT_…), over which the engine puts those of the ranks."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Values of secrets by variable: for the tasks' environment only, never written to disk in
    clear beyond a file that only the owner reads and that is gone once the tasks have started."""
    shown: tuple[str, ...] = ()
    """Directories of the centre that its tasks may enter, beside its own in the engine."""
    checkpoint_dir: str = ""
    """Where the job keeps its checkpoints."""
    resume_from: str = ""
    """Newest complete checkpoint; empty for a fresh start."""
    time_limit_s: Seconds | None = None
    """Time after which the engine stops it by itself, should the control plane be away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The order to end an attempt: warning signal, grace, TERM, 10 s, KILL."""

    signal: str = "USR1"
    """Signal of the warning; empty for none."""
    grace_s: Seconds = 0.0
    """Time between the warning and TERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSeen:
    """What the engine sees of an attempt."""

    attempt: Attempt
    """Which."""
    phase: Phase
    """How far it is."""
    end: End | None = None
    """How it ended; absent while it has not."""
    message: str = ""
    """What a person should know: the signal, the program that is not there, the node lost."""
    started_s: Seconds | None = None
    """When its first task began; absent before."""
    ended_s: Seconds | None = None
    """When its last task ended; absent before."""
    exit_codes: tuple[int | None, ...] = ()
    """By task in order of ranks; minus the signal that killed it; absent while unknown."""
    nodes: tuple[str, ...] = ()
    """Where it runs, in the order of ranks, as the engine placed it."""
    lost_nodes: tuple[str, ...] = ()
    """Those of its nodes that are gone."""
    cpu_s: Seconds | None = None
    """Processor time of its tasks so far; absent where nobody measures."""
    peak_memory_bytes: Bytes | None = None
    """Largest resident memory of one task; absent where nobody measures."""
    energy_j: Joules | None = None
    """Energy that it drew; absent where nobody measures."""
    beat_s: Seconds | None = None
    """When its tasks last showed a sign of life in their report; absent before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """What the engine sees of a node."""

    name: str
    """Its name."""
    up: bool
    """True when it can run tasks."""
    drained: bool = False
    """True when the engine, or somebody through it, lets no new work on it."""
    reason: str = ""
    """Why it is down or drained; it begins with `OURS` when `drain` was the cause."""
    num_gpus: int = 0
    """Accelerators."""
    gpu_model: str = ""
    """Accelerator; empty when unknown."""
    mig_profile: str = ""
    """MIG profile that these are slices of; empty for whole accelerators."""
    num_cpus: int = 0
    """Cores."""
    memory_bytes: Bytes = 0.0
    """Host memory; 0 when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All that the engine sees at one moment."""

    time_s: Seconds
    """When."""
    nodes: tuple[NodeSeen, ...]
    """Every node, in a lasting order."""
    attempts: tuple[AttemptSeen, ...]
    """Every attempt that it has not been told to forget."""
    foreign: tuple[Share, ...] = ()
    """What others than the control plane hold of its nodes; several for a node that several use."""


class Engine(Protocol):
    """Carries decisions out on one kind of machine.

    Every method may raise `OutOfReach`; the caller then tries again later and concludes nothing.
    """

    @property
    def name(self) -> str:
        """Return `local`, `slurm` or `kubernetes`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        ...

    def open(self) -> None:
        """Make ready: find or start what it needs, adopt what runs from before."""
        ...

    def observe(self) -> Observation:
        """Return what there is now: never a guess, never a memory of earlier answers."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as something may have changed, False when the time has passed.

        It is called in a thread of its own, beside all others, which come from one thread.
        """
        ...

    def launch(self, order: Launch) -> None:
        """Start an attempt; one that the engine has, in whatever phase, is left as it is.

        Raises
        ------
        Refused
            If it can never start: the order itself is at fault.
        """
        ...

    def stop(self, attempt: Attempt, stop: Stop) -> None:
        """Begin to end an attempt, and return at once; one that has ended is left as it is."""
        ...

    def fence(self, attempt: Attempt) -> bool:
        """Kill whatever is left of an attempt; return True once nothing of it can run any more.

        After a True it is seen as ended, or not at all; one that was never launched must not start
        any more.
        """
        ...

    def signal(self, attempt: Attempt, signal: str) -> None:
        """Send a signal to all tasks of an attempt."""
        ...

    def drain(self, node: str, reason: str) -> None:
        """Let no new work on a node; `reason` begins with `OURS`."""
        ...

    def undrain(self, node: str) -> None:
        """Let work on a node again."""
        ...

    def log_path(self, attempt: Attempt, rank: int, stream: Stream) -> Path | None:
        """Return the file that a rank's output goes to; None when it cannot be read here."""
        ...

    def report_path(self, attempt: Attempt) -> Path | None:
        """Return the file in which the job reports steps, as `engines.reports` reads it."""
        ...

    def forget(self, attempts: Sequence[Attempt]) -> None:
        """Drop the bookkeeping of attempts that have ended and are journalled; logs stay."""
        ...

    def close(self) -> None:
        """Let go; what runs goes on."""
        ...
