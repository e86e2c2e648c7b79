"""The state of a scheduler: what waits, what runs, what is free. Events change it, nothing else.

`State.apply` is the only way to change it, and what it does depends on the event alone, so a log
of events played back gives the same state. It changes in place and returns itself: a copy of the
state of ten thousand nodes for every event would cost more than all scheduling. `snapshot` gives a
frozen picture for whoever must keep one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.errors import ClusterwrightError
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Job
from clusterwright.sched.placement import Partition, Placed
from clusterwright.sched.policies import Policy
from clusterwright.sched.queue import Waiting


@dataclass(slots=True)
class Running:
    """A job on its nodes."""

    placed: Placed
    """Nodes with the quanta taken on each."""
    since_s: float
    """When it started this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A frozen picture of a state."""

    waiting: tuple[int, ...]
    """Jobs that wait, by index."""
    running: tuple[tuple[int, Placed], ...]
    """Jobs that run, with their nodes."""
    free: tuple[tuple[int, int], ...]
    """Free quanta by node, nodes that are down left out."""
    down: tuple[int, ...]
    """Nodes that are down."""


class State:
    """Everything that a scheduling decision looks at."""

    def __init__(
        self, cluster: Cluster, jobs: Sequence[Job], policy: Policy, *, pooled: bool = False
    ) -> None:
        """Take the nodes and the jobs that may come; nothing waits or runs.

        With `pooled` all queues share all nodes (borrowing without guarantees); without it each
        queue has its own.
        """
        self.jobs = jobs
        self.policy = policy
        self.partitions: dict[str, Partition] = {}
        self.of_queue: dict[str, Partition] = {}
        self.waiting: dict[str, Waiting] = {}
        self.running: dict[int, Running] = {}
        self.on_node: dict[int, set[int]] = {}
        self.remaining: dict[int, float] = {}
        self.partition_of_node: list[Partition] = []
        self._build(cluster, pooled=pooled)

    def apply(self, event: Event) -> "State":
        """Change the state by what happened, and return it.

        Raises
        ------
        ClusterwrightError
            If the event cannot have happened in this state: a start on nodes that are not free, an
            end of a job that does not run.
        """
        match event.kind:
            case EventKind.SUBMIT:
                self._wait(event.job)
            case EventKind.START:
                self._start(event)
            case EventKind.FINISH:
                self._stop(event)
                self.remaining.pop(event.job, None)
            case EventKind.INTERRUPT | EventKind.PREEMPT:
                self._stop(event)
                self._wait(event.job)
            case EventKind.NODE_FAIL:
                if self.on_node.get(event.node):
                    msg = f"node {event.node} failed with jobs still on it; stop them first"
                    raise ClusterwrightError(msg)
                self.partition_of_node[event.node].fail(event.node)
            case EventKind.NODE_REPAIR:
                self.partition_of_node[event.node].repair(event.node)
        return self

    def left_s(self, job: int) -> float:
        """Return the work that a job has still to do."""
        return self.remaining.get(job, self.jobs[job].duration_s)

    def partition(self, job: int) -> Partition:
        """Return the nodes that a job may use."""
        return self.of_queue[self.jobs[job].queue]

    def snapshot(self) -> Snapshot:
        """Return a frozen picture of the state."""
        return Snapshot(
            waiting=tuple(sorted(j for queue in self.waiting.values() for j in queue.jobs())),
            running=tuple(sorted((job, one.placed) for job, one in self.running.items())),
            free=tuple(
                sorted(
                    (node, free)
                    for part in self.partitions.values()
                    for node, free in part.free.items()
                    if node not in part.down
                )
            ),
            down=tuple(sorted(n for part in self.partitions.values() for n in part.down)),
        )

    def _build(self, cluster: Cluster, *, pooled: bool) -> None:
        groups: dict[str, list[tuple[int, NodeGroup]]] = {}
        first = 0
        for group in cluster.groups:
            # Cores and accelerators are different goods: pooling joins only alike nodes.
            name = ("all-gpus" if group.gpus_per_node else "all-cpus") if pooled else group.queue
            groups.setdefault(name, []).append((first, group))
            first += group.num_nodes
        for name, members in groups.items():
            self.partitions[name] = Partition(name, members)
            self.waiting[name] = Waiting(self.policy)
        for name, members in groups.items():
            for _, group in members:
                self.of_queue.setdefault(group.queue, self.partitions[name])
        owner: dict[int, Partition] = {
            node: part for part in self.partitions.values() for node in part.size
        }
        self.partition_of_node = [owner[node] for node in range(first)]

    def _wait(self, job: int) -> None:
        part = self.partition(job)
        key = self.policy.key(self.jobs[job], self.left_s(job))
        self.waiting[part.queue].add(job, key, self.jobs[job].user)

    def _start(self, event: Event) -> None:
        part = self.partition(event.job)
        if sum(quanta for _, quanta in event.nodes) != self.jobs[event.job].quanta:
            msg = f"job {event.job} would start in part; a gang starts whole or not at all"
            raise ClusterwrightError(msg)
        if event.job in self.running:
            msg = f"job {event.job} runs already"
            raise ClusterwrightError(msg)
        for node, quanta in event.nodes:
            if node in part.down or part.free.get(node, -1) < quanta:
                msg = f"job {event.job} would take what node {node} does not have free"
                raise ClusterwrightError(msg)
        part.take(event.nodes)
        self.waiting[part.queue].remove(event.job)
        self.running[event.job] = Running(placed=event.nodes, since_s=event.time_s)
        for node, _ in event.nodes:
            self.on_node.setdefault(node, set()).add(event.job)

    def _stop(self, event: Event) -> None:
        one = self.running.pop(event.job, None)
        if one is None:
            msg = f"job {event.job} does not run"
            raise ClusterwrightError(msg)
        self.partition(event.job).give(one.placed)
        for node, _ in one.placed:
            self.on_node[node].discard(event.job)
