"""The centre that runs: its nodes, queues, policy and prices, as people write them.

Only nouns belong here. What is left out has a default that the docstring names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterwright import documents
from clusterwright.errors import Fault, InvalidInput
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.jobspec import MIG_PROFILE, NAME
from clusterwright.model.policy import Policy
from clusterwright.model.quota import Quota
from clusterwright.units import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    Bytes,
    FlopPerSecond,
    Fraction,
    GramsPerJoule,
    Ratio,
    Seconds,
    UsdPerAcceleratorHour,
    UsdPerHour,
    UsdPerJoule,
    Watts,
)

_SLICES = 7  # of compute on an accelerator that can be cut
EngineName = Literal["local", "slurm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Equal nodes of the centre."""

    name: str
    """What their names begin with: `gpu` makes gpu1, gpu2 …"""
    num_nodes: int = 1
    """How many."""
    members: tuple[str, ...] = ()
    """Their names, where they are not `name` and a number."""
    num_gpus: int = 0
    """Accelerators of one."""
    gpu_model: str = ""
    """Accelerator; empty when unknown."""
    mig_profile: str = ""
    """MIG profile that its accelerators are cut into, as `1g.10gb`; `gpus` then counts the slices.
    Empty for whole accelerators."""
    slice_fraction: Fraction | None = None
    """Part of an accelerator that one slice is, for the accounts; absent, as many sevenths as the
    profile begins with."""
    gpu_peak_flop_per_s: FlopPerSecond = 0.0
    """Dense peak of one accelerator in the format that utilisation is counted in; absent, that of
    16-bit formats in the catalogue, where it knows the model."""
    num_cpus: int = 1
    """Cores of one."""
    memory_bytes: Bytes = 0.0
    """Host memory of one; 0 when unknown."""
    nodes_per_domain: int = 1
    """Nodes of one scale-up domain."""
    nodes_per_leaf: int = 0
    """Nodes under one leaf switch; 0 when the topology is not known."""
    leaves_per_pod: int = 0
    """Leaf switches of one pod; 0 when there are none."""
    power_w: Watts = 0.0
    """What one node draws at most; 0 when unknown."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes, in order."""
        if self.members:
            return self.members
        return tuple(f"{self.name}{number}" for number in range(1, self.num_nodes + 1))

    @property
    def gpu_kind(self) -> str:
        """What the scheduler calls one of its accelerators: the model and the profile."""
        return f"{self.gpu_model}/{self.mig_profile}" if self.mig_profile else self.gpu_model

    @property
    def gpu_fraction(self) -> float:
        """Part of a whole accelerator that one of its `num_gpus` is."""
        if not self.mig_profile:
            return 1.0
        if self.slice_fraction is not None:
            return self.slice_fraction
        return int(self.mig_profile.partition("g")[0]) / _SLICES


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What accelerators, cores and energy cost, for the accounts."""

    usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """Price of an accelerator held for an hour."""
    cpu_usd_per_hour: UsdPerHour = 0.0
    """Price of a core held for an hour, on nodes without accelerators."""
    energy_usd_per_j: UsdPerJoule = 0.0
    """Price of energy."""
    carbon_g_per_j: GramsPerJoule = 0.0
    """Carbon of the grid."""
    pue_ratio: Ratio = 1.0
    """Facility energy over IT energy."""
    idle_fraction: Fraction | None = None
    """Draw of an idle node as a share of its most, where nobody measures it; absent, the
    catalogue's."""
    busy_fraction: Fraction | None = None
    """Draw of a busy node likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmUse:
    """How a centre uses its Slurm: which words of ours are which there."""

    delegate: bool = False
    """True when Slurm places; else the control plane names the nodes."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Queue to partition; a queue that is absent goes to the partition of its own name, and where
    there is none to the cluster's default."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Project to account; a project that is absent goes without."""
    qos: Mapping[str, str] = field(default_factory=dict)
    """Queue to quality of service; a queue that is absent goes without."""
    gpu_models: Mapping[str, str] = field(default_factory=dict)
    """Type of accelerator in gres.conf to the model as jobs name it; absent, as in gres.conf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCheck:
    """What every node must pass before it takes work, and again and again from then on."""

    command: tuple[str, ...]
    """Command and its arguments, run for each node by whoever runs the server; a node is well when
    it ends with 0, else its first line is the reason for which the node takes no work."""
    every_s: Seconds = SECONDS_PER_HOUR / 12
    """Time between two rounds."""
    timeout_s: Seconds = SECONDS_PER_HOUR / 60
    """Time after which a check is ended and counts as failed."""


@documents.kind("Centre", layout="flat")
@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """A running centre, as `clusterwright up -f centre-run.yaml` reads it."""

    name: str = "local"
    """Its name."""
    engine: EngineName = "local"
    """What runs the jobs: processes on this machine, or Slurm."""
    slurm: SlurmUse = field(default_factory=SlurmUse)
    """How it uses Slurm, where that is its engine."""
    nodes: tuple[Nodes, ...] = ()
    """Its nodes; absent, what the engine finds: this machine, or the nodes that Slurm lists."""
    queues: tuple[Quota, ...] = (Quota(queue="default"),)
    """Its queues, and what each is owed and allowed, in accelerators (in cores without any)."""
    policy: str | Policy = "fifo"
    """How it is decided who runs where and when: a name of `simulate --list`, or a policy."""
    time_limit_s: Seconds = 7 * SECONDS_PER_DAY
    """Time limit of jobs that state none."""
    rates: Rates = field(default_factory=Rates)
    """What goes into the accounts."""
    heartbeat_s: Seconds = 600.0
    """Silence of a job that reports its steps after which it counts as hung."""
    data_dir: str | None = None
    """Directory with the data that jobs read; absent, none."""
    node_check: NodeCheck | None = None
    """How nodes of this machine are checked; absent, not at all. Slurm has its own check of nodes,
    and what that drains is drained here."""

    def __post_init__(self) -> None:
        """Check what a centre can know of itself.

        Raises
        ------
        InvalidInput
            With every fault at once.
        """
        faults = [Fault(path=path, message=what, remedy=how) for path, what, how in _faults(self)]
        if faults:
            raise InvalidInput(faults)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of all nodes, in the order in which the scheduler numbers them."""
        return tuple(name for group in self.nodes for name in group.names)

    @property
    def cluster(self) -> Cluster:
        """What the scheduler places on: every queue may use all nodes, by its quota."""
        first = self.queues[0].queue
        return Cluster(
            groups=tuple(
                NodeGroup(
                    queue=first,
                    num_nodes=group.num_nodes,
                    gpus_per_node=group.num_gpus,
                    cpus_per_node=group.num_cpus,
                    node_memory_bytes=group.memory_bytes,
                    nodes_per_domain=group.nodes_per_domain,
                    nodes_per_leaf=group.nodes_per_leaf,
                    leaves_per_pod=group.leaves_per_pod,
                    node_power_w=group.power_w,
                    gpu_model=group.gpu_kind,
                )
                for group in self.nodes
            ),
            quotas=self.queues,
        )


def _faults(centre: Centre) -> list[tuple[str, str, str]]:
    remedy = "use lower-case letters, digits, '.', '_' and '-', at most 63"
    found = [
        (path, f"{name!r} is no name", remedy)
        for path, name in (
            ("name", centre.name),
            *(("nodes", group.name) for group in centre.nodes),
            *(("queues", one.queue) for one in centre.queues),
        )
        if NAME.fullmatch(name) is None
    ]
    found += [
        ("nodes", f"{group.name} has {what}", "write 1 or more")
        for group in centre.nodes
        for what, count in (("no nodes", group.num_nodes), ("no cores", group.num_cpus))
        if count < 1
    ]
    found += [
        ("nodes", f"{group.name} names {len(group.members)} of {group.num_nodes} nodes", "name all")
        for group in centre.nodes
        if group.members and len(group.members) != group.num_nodes
    ]
    found += [
        ("nodes.mig_profile", f"{group.mig_profile!r} is no profile", "write it as 1g.10gb")
        for group in centre.nodes
        if group.mig_profile and MIG_PROFILE.fullmatch(group.mig_profile) is None
    ]
    if centre.heartbeat_s <= 0:
        found.append(("heartbeat", "is not above zero", "write a time, as 10min"))
    check = centre.node_check
    if check is not None:
        if centre.engine == "slurm":
            found.append(("node_check", "is Slurm's there", "set HealthCheckProgram in slurm.conf"))
        if not check.command:
            found.append(("node_check.command", "is empty", "write a command, as [/usr/bin/true]"))
        found += [
            (f"node_check.{name}", "is not above zero", "write a time, as 5min")
            for name, value in (("every", check.every_s), ("timeout", check.timeout_s))
            if value <= 0
        ]
    if not centre.queues:
        found.append(("queues", "is empty", "write at least one, or leave it out"))
    for path, names in (
        ("nodes", centre.node_names),
        ("queues", tuple(one.queue for one in centre.queues)),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            found.append((path, f"{', '.join(twice)} stands there twice", "give each its own name"))
    kinds = {bool(group.num_gpus) for group in centre.nodes}
    if len(kinds) > 1:
        found.append(
            ("nodes", "some have accelerators and some have none", "run them as two centres")
        )
    return found
