"""A job as people write it in `job.yaml`: what to run, on what, and how it survives.

Only nouns belong here. `control` turns them into the scheduler's `Job`, engines into processes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterwright import documents
from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.job import Topology
from clusterwright.units import Bytes, Ratio, Seconds

MIG_PROFILE = re.compile(r"[1-7]g\.[0-9]+gb(\+me(\.all)?)?")
"""A MIG profile: compute slices and memory of one instance, with media engines or without."""
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
"""What names of jobs, queues, projects and nodes look like: safe in paths, labels and commands."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What names of environment variables look like."""

SECRET = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:[A-Za-z0-9_][A-Za-z0-9._-]*)")
"""What references of secrets look like: nothing that could name a path."""

RetryCause = Literal["node_fail", "failed", "timeout", "hang"]
Launcher = Literal["direct", "torchrun", "batch"]
Signal = Literal["USR1", "USR2", "TERM", "INT", "HUP"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a job that ended badly is queued again."""

    max: int = 3
    """How many times, preemptions not counted."""
    on: tuple[RetryCause, ...] = ("node_fail",)
    """For which causes: its node was lost, a task of its own failed, its time limit passed, or it
    reported and then fell silent for as long as the centre's `heartbeat`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How a job saves its work and is warned before it is stopped."""

    dir: str | None = None
    """Where it keeps its checkpoints; absent, a directory that the centre gives it."""
    every_s: Seconds | None = None
    """Work between checkpoints, as the planner and the twin count it; absent, unknown."""
    signal: Signal = "USR1"
    """Signal that warns it."""
    grace_s: Seconds = 30.0
    """Time between the warning and being told to terminate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUse:
    """What a job reads and writes, as object URLs or paths."""

    inputs: tuple[str, ...] = ()
    """Staged before it starts."""
    outputs: tuple[str, ...] = ()
    """Kept after it is through."""


@documents.kind("Job", layout="flat")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A unit of work: one gang of processes that starts whole or not at all."""

    name: str
    """Its name: lower-case letters, digits, `.`, `_` and `-`; need not be unique."""
    command: str | tuple[str, ...]
    """What every task runs: a list is run as it stands, a text by `/bin/sh -c`."""
    args: tuple[str, ...] = ()
    """More words for the command; with a text they are `$1`, `$2` …"""
    queue: str = "default"
    """Queue that it waits in."""
    project: str = "default"
    """Project that pays for it, and whose members may see it."""
    priority: int = 0
    """Higher goes first within its queue."""
    image: str | None = None
    """Container image as an OCI reference; absent, it runs on the node as it is."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of its tasks."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Environment from secrets, name of the variable to a reference: `file:NAME` is a file that an
    operator laid into the secrets of the project, `env:NAME` the server's variable
    CLUSTERWRIGHT_SECRET_NAME. Read when the job starts, never stored, never shown."""
    workdir: str | None = None
    """Directory that its tasks start in; absent, one that the centre gives it."""
    resources: str | None = None
    """Short for accelerators, as `H100:8`: model and how many on each node."""
    num_nodes: int = 1
    """Nodes of the gang."""
    min_nodes: int | None = None
    """Fewest nodes that it can run on; absent when it runs on all of them or not at all."""
    gpus_per_node_ratio: Ratio = 0.0
    """Accelerators on each node; a share of one below 1."""
    gpu_model: str | None = None
    """Accelerator that it must run on; absent for any."""
    mig_profile: str | None = None
    """Slice of an accelerator on each node, as `1g.10gb`, in place of whole ones."""
    tasks_per_node: int | None = None
    """Processes on each node; absent, one for each accelerator, one on a node without."""
    launcher: Launcher = "direct"
    """`direct` starts one process for each rank, `torchrun` one for each node with the variables
    that torchrun reads, `batch` one in all, on the first node, which starts the others itself."""
    cpus_per_node: int | None = None
    """Cores on each node; absent, one for each task."""
    memory_per_node_bytes: Bytes | None = None
    """Host memory on each node; absent, what is there."""
    time_limit_s: Seconds | None = None
    """Longest time from a start to its end; absent, what its queue allows."""
    retry: Retry = field(default_factory=Retry)
    """When it is queued again after a bad end."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    """How it saves its work."""
    data: DataUse = field(default_factory=DataUse)
    """What it reads and writes."""
    topology: Topology | None = None
    """How close together its nodes must be."""
    preemptible: bool = False
    """True when another job may stop it; it is warned, and queued again."""
    array: str | None = None
    """Several tasks of one kind, as `0-99` or `0-99%10` for at most ten at once."""
    depends_on: tuple[str, ...] = ()
    """Jobs that must be through before it may start, by id."""
    start_after: str | None = None
    """Earliest start, as an RFC 3339 time."""
    deadline: str | None = None
    """When it should be through, as an RFC 3339 time."""
    hold: bool = False
    """True when it is submitted on hold."""
    lease_s: Seconds | None = None
    """For sessions: time without activity after which it is ended, as completed; absent for
    ordinary jobs. What it writes into its logs or report is activity, and so is a renewal."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Words of the user's own, to filter by."""

    def __post_init__(self) -> None:
        """Check what one job can know of itself.

        Raises
        ------
        InvalidInput
            With every fault at once.
        """
        faults = [
            Fault(path=path, message=message, remedy=remedy)
            for path, message, remedy in _faults(self)
        ]
        if faults:
            raise InvalidInput(faults)

    @property
    def devices_per_node_ratio(self) -> float:
        """What it takes of each node: accelerators, or the one slice that it asks for."""
        return 1.0 if self.mig_profile is not None else self.gpus_per_node_ratio

    @property
    def num_tasks_per_node(self) -> int:
        """Processes that run on each node; of `batch`, on the first."""
        if self.launcher != "direct":
            return 1
        return self.ranks_per_node

    @property
    def ranks_per_node(self) -> int:
        """Ranks on each node: processes, or what torchrun makes of its one."""
        if self.tasks_per_node is not None:
            return self.tasks_per_node
        return max(1, int(self.gpus_per_node_ratio))

    @property
    def num_cpus_per_node(self) -> int:
        """Cores that it takes on each node."""
        return self.ranks_per_node if self.cpus_per_node is None else self.cpus_per_node


def _faults(job: JobSpec) -> list[tuple[str, str, str]]:
    found = [
        (
            key,
            f"{value!r} is no name",
            "use lower-case letters, digits, '.', '_' and '-', at most 63, "
            "with a letter or digit at both ends",
        )
        for key, value in (("name", job.name), ("queue", job.queue), ("project", job.project))
        if NAME.fullmatch(value) is None
    ]
    found += [
        (f"{key}.{name}", f"{name!r} is no name of a variable", "use letters, digits and '_'")
        for key, names in (("env", job.env), ("secrets", job.secrets))
        for name in names
        if VARIABLE.fullmatch(name) is None
    ]
    found += [
        (f"secrets.{name}", "is not a reference", "write env:NAME or file:NAME")
        for name, reference in job.secrets.items()
        if SECRET.fullmatch(reference) is None
    ]
    found += [
        (f"env.{name}", "holds a NUL character", "leave it out")
        for name, value in job.env.items()
        if "\0" in value
    ]
    words = (job.command,) if isinstance(job.command, str) else job.command
    if not words or not words[0]:
        found.append(("command", "is empty", "write what to run"))
    if any("\0" in word for word in (*words, *job.args)):
        found.append(("command", "holds a NUL character", "leave it out"))
    found += _counts(job)
    return found


def _counts(job: JobSpec) -> list[tuple[str, str, str]]:
    least = (
        ("nodes", job.num_nodes, 1),
        ("tasks_per_node", job.tasks_per_node, 1),
        ("cpus_per_node", job.cpus_per_node, 0),
        ("gpus_per_node", job.gpus_per_node_ratio, 0),
        ("retry.max", job.retry.max, 0),
        ("checkpoint.grace", job.checkpoint.grace_s, 0),
    )
    found = [
        (path, f"{value} is too few", f"write {low} or more")
        for path, value, low in least
        if value is not None and value < low
    ]
    if job.gpus_per_node_ratio > 1 and job.gpus_per_node_ratio != int(job.gpus_per_node_ratio):
        found.append(
            (
                "gpus_per_node",
                f"{job.gpus_per_node_ratio} is not whole",
                "shares are below 1, else whole",
            )
        )
    if job.min_nodes is not None and not 1 <= job.min_nodes <= job.num_nodes:
        found.append(("min_nodes", f"{job.min_nodes} is out of range", "write 1 to `nodes`"))
    if job.time_limit_s is not None and job.time_limit_s <= 0:
        found.append(("time_limit", "is not above zero", "write a time, as 2h"))
    if job.lease_s is not None and job.lease_s <= 0:
        found.append(("lease", "is not above zero", "write a time, as 2h"))
    if job.mig_profile is not None and MIG_PROFILE.fullmatch(job.mig_profile) is None:
        found.append(("mig_profile", f"{job.mig_profile!r} is no profile", "write it as 1g.10gb"))
    if job.mig_profile is not None and job.gpus_per_node_ratio:
        found.append(
            ("mig_profile", "stands beside gpus_per_node", "ask for a slice or whole accelerators")
        )
    return found
