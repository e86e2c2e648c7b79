"""What running jobs draw, held against the cap of the centre now and later.

Legend: a job draws `watts` above its idle nodes, cooling and losses included; `held` is what the
jobs draw together that are expected to run at some time; headroom is cap - idle draw - held. What
is known of running jobs only ends, so between two falls of the cap the headroom only grows, and it
is enough to look at now and at the steps of the cap.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clusterwright.errors import Fault, InvalidInput, UsageError
from clusterwright.model.cluster import Cluster
from clusterwright.model.power import PowerCap
from clusterwright.sched.nodes import Placed, Pool
from clusterwright.units import Watts
from clusterwright.units import format as show

LITTLE_W = 1e-6
"""Watts that sums may be off by."""
_ROUNDING_S = 1e-6  # an end that meets a step of the cap is in time


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredNodes:
    """Equal nodes, and what they draw from the grid, cooling and losses included."""

    num_nodes: int
    """How many, at least 1."""
    quanta_per_node: int
    """Accelerator quanta, or cores, of one node; at least 1."""
    idle_w: Watts
    """What an idle node draws."""
    busy_w: Watts
    """What a busy node draws, above the idle one."""

    def __post_init__(self) -> None:
        """Refuse nodes that draw no more when they work."""
        if self.num_nodes < 1 or self.quanta_per_node < 1 or not 0 <= self.idle_w < self.busy_w:
            msg = (
                f"{self.num_nodes} nodes of {self.quanta_per_node} quanta, {self.idle_w:g} W idle "
                f"and {self.busy_w:g} W busy: counts are at least 1, and 0 <= idle < busy"
            )
            raise UsageError(msg)

    @property
    def quantum_w(self) -> Watts:
        """What one quantum draws more when it is busy."""
        return (self.busy_w - self.idle_w) / self.quanta_per_node


class PowerBook:
    """Power of a centre: what runs, until when by what is known, and the cap over time."""

    def __init__(self, cluster: Cluster, cap: PowerCap) -> None:
        """Take the nodes and the cap; nothing runs.

        Raises
        ------
        InvalidInput
            If the cap is below what idle nodes draw, or the power of the nodes is not known.
        """
        self.cap = cap
        pairs = zip(cap.since_s[1:], cap.cap_w, cap.cap_w[1:], strict=False)
        self._falls_s = [since_s for since_s, before, after in pairs if after < before]
        self._quantum_w: list[float] = []
        self._kind_at: list[int] = []
        self._bounds_w: dict[str, tuple[float, float]] = {}
        self._used: list[int] = []
        self._runs: dict[int, tuple[float, float]] = {}
        self._ends: tuple[list[float], list[float]] | None = None
        idle_w = cap.other_power_w
        for number, group in enumerate(cluster.groups):
            if not group.node_power_w or not group.quanta:
                raise _unpowered(group.queue)
            nodes = PoweredNodes(
                num_nodes=group.num_nodes + group.num_spares,
                quanta_per_node=group.quanta,
                idle_w=cap.pue_ratio * cap.idle_fraction * group.node_power_w,
                busy_w=cap.pue_ratio * cap.busy_fraction * group.node_power_w,
            )
            idle_w += nodes.num_nodes * cap.idle_fraction * group.node_power_w
            self._quantum_w.append(nodes.quantum_w)
            self._kind_at += [number] * group.num_nodes
            self._used.append(0)
        self.idle_w = cap.pue_ratio * idle_w
        """What the centre draws when nothing runs."""
        least = min(cap.cap_w)
        if least < self.idle_w:
            message = (
                f"the cap of {show(least, Watts)} is below the {show(self.idle_w, Watts)} that "
                "idle nodes draw"
            )
            raise InvalidInput([Fault(message=message, remedy="raise it, or take nodes away")])

    def watts(self, placed: Placed) -> float:
        """Return what a job draws above its idle nodes."""
        kind_at, quantum_w = self._kind_at, self._quantum_w
        return sum(quanta * quantum_w[kind_at[node]] for node, quanta in placed)

    def quantum_w(self, pool: Pool) -> tuple[float, float]:
        """Return the least and the most that one quantum of a pool draws more when it is busy."""
        if pool.name not in self._bounds_w:
            each = {self._quantum_w[self._kind_at[node]] for node in pool.nodes()}
            self._bounds_w[pool.name] = (min(each), max(each))
        return self._bounds_w[pool.name]

    def book(self, job: int, placed: Placed, ends_s: float) -> None:
        """Note that a job runs, and until when by what is known."""
        self._runs[job] = (ends_s, self.watts(placed))
        for node, quanta in placed:  # whole numbers: sums come back to zero when all have ended
            self._used[self._kind_at[node]] += quanta
        self._ends = None

    def strike(self, job: int, placed: Placed) -> None:
        """Note that a job has ended."""
        del self._runs[job]
        for node, quanta in placed:
            self._used[self._kind_at[node]] -= quanta
        self._ends = None

    def at_s(self, time_s: float) -> float:
        """Return the cap at a time."""
        return self.cap.cap_w[bisect_right(self.cap.since_s, time_s) - 1]

    def steps_s(self, now_s: float, until_s: float = float("inf")) -> Sequence[float]:
        """Return when the cap changes between two times, both left out."""
        since = self.cap.since_s
        return since[bisect_right(since, now_s) : bisect_left(since, until_s)]

    def drawn_w(self) -> float:
        """Return what the centre draws now."""
        pairs = zip(self._used, self._quantum_w, strict=True)
        return self.idle_w + sum(used * watts for used, watts in pairs)

    def headroom_w(
        self, now_s: float, until_s: float, *, at_s: float, kept: Iterable[tuple[float, float]] = ()
    ) -> float:
        """Return what a job may draw that runs from one time to another.

        Parameters
        ----------
        now_s
            The present.
        until_s
            When it ends.
        at_s
            When it begins, now or later.
        kept
            What is promised to others: from when on, and how much of it.
        """
        promised = list(kept)
        starts = [from_s for from_s, _ in promised if at_s < from_s < until_s]
        least = float("inf")
        drawn_w = self.drawn_w()
        for moment in (at_s, *self._falls(at_s, until_s), *starts):
            free_w = self.at_s(moment) - drawn_w + self._ended_w(now_s, moment)
            if promised:
                free_w -= sum(watts for from_s, watts in promised if from_s <= moment)
            least = min(least, free_w)
        return least

    def _falls(self, now_s: float, until_s: float) -> Sequence[float]:
        """Return when the cap falls between two times; where it rises nothing is lost."""
        falls = self._falls_s
        return falls[bisect_right(falls, now_s) : bisect_left(falls, until_s)]

    def over_w(self, now_s: float) -> float:
        """Return by how much the draw passes the cap; 0 or less where it does not."""
        return self.drawn_w() - self.at_s(now_s)

    def draw_of(self, job: int) -> float:
        """Return what a running job draws above its idle nodes."""
        return self._runs[job][1]

    def ends(self) -> Iterable[tuple[float, float]]:
        """Return when each running job should end, and what it draws."""
        return self._runs.values()

    def _ended_w(self, now_s: float, moment_s: float) -> float:
        """Return the draw of running jobs that should end from now to a moment.

        One that should have ended already may go on for ever: it counts as running.
        """
        if moment_s <= now_s:
            return 0.0
        if self._ends is None:
            runs = sorted(self._runs.values())
            self._ends = ([end_s for end_s, _ in runs], [0.0, *accumulate(w for _, w in runs)])
        times, upto = self._ends
        ended = bisect_right(times, moment_s + _ROUNDING_S)
        return max(0.0, upto[ended] - upto[bisect_right(times, now_s)])


def _unpowered(queue: str) -> InvalidInput:
    message = f"a power cap holds for nodes whose draw is known; that of queue {queue!r} is not"
    remedy = "run a design, or give --node-power"
    return InvalidInput([Fault(message=message, remedy=remedy)])
