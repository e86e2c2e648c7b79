"""What a scheduler places on: nodes in queues, as it sees them."""

from dataclasses import dataclass

from clusterwright.model.job import QUANTA
from clusterwright.model.power import PowerCap
from clusterwright.model.quota import Quota
from clusterwright.model.reservation import Reservation
from clusterwright.units import Bytes, Watts


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Equal nodes of one queue."""

    queue: str
    """Queue that owns them."""
    num_nodes: int
    """How many."""
    gpus_per_node: int
    """Accelerators of one node; 0 for nodes without."""
    cpus_per_node: int = 0
    """Cores of one node; what is placed on where there is no accelerator."""
    node_memory_bytes: Bytes = 0.0
    """Host memory of one node; 0 when unknown."""
    nodes_per_domain: int = 1
    """Nodes of one scale-up domain."""
    nodes_per_leaf: int = 0
    """Nodes under one leaf switch; 0 when the topology is not known."""
    leaves_per_pod: int = 0
    """Leaf switches of one pod; 0 when there are none."""
    node_power_w: Watts = 0.0
    """What one node draws at most."""
    gpu_model: str = ""
    """Accelerator; empty when unknown."""
    num_spares: int = 0
    """Nodes that stand by to take the place of one that fails; jobs never start on them."""

    @property
    def quanta(self) -> int:
        """What one node offers: accelerator quanta, or cores where it has none."""
        return self.gpus_per_node * QUANTA or self.cpus_per_node


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All nodes that one scheduler places on."""

    groups: tuple[NodeGroup, ...]
    """Node groups; a queue may own several."""
    quotas: tuple[Quota, ...] = ()
    """What each queue is owed and allowed where queues share nodes; empty for no rules."""
    reservations: tuple[Reservation, ...] = ()
    """Nodes that are kept for some jobs, or for nobody, for a time."""
    power_cap: PowerCap | None = None
    """The most that it may draw; absent, all that its nodes can."""

    @property
    def num_gpus(self) -> int:
        """Accelerators of all nodes."""
        return sum(group.num_nodes * group.gpus_per_node for group in self.groups)

    @property
    def queues(self) -> tuple[str, ...]:
        """Names of the queues, in order."""
        return tuple(dict.fromkeys(group.queue for group in self.groups))
