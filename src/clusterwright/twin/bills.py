"""What a run draws, pays and emits: hour by hour, by what the nodes did and by who pays.

Every joule is drawn by a node in one state, or by what stands beside the nodes, and the facility
puts its overhead on it. The same joules are laid once on the states and once on the queues, so
that both sum to the bill.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clusterwright.model.cluster import NodeGroup
from clusterwright.model.run import NodeState, StateFigures
from clusterwright.twin.kernel import Outcome
from clusterwright.twin.states import node_stretches
from clusterwright.twin.usage import Hours
from clusterwright.units import (
    SECONDS_PER_HOUR,
    Fraction,
    GramsPerJoule,
    Ratio,
    UsdPerJoule,
    Watts,
)

_STATES: tuple[NodeState, ...] = ("busy", "idle", "asleep", "down", "spare", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a run draws, pays and emits."""

    idle_fraction: Fraction
    """Draw of an idle node as a share of its maximum."""
    busy_fraction: Fraction
    """Draw of a busy node as a share of its maximum."""
    asleep_fraction: Fraction = 0.0
    """Draw of a sleeping node as a share of its maximum."""
    down_fraction: Fraction = 0.0
    """Draw of a node that is out for repair as a share of its maximum."""
    other_power_w: Watts
    """What storage, network and management draw all the time."""
    pue_ratio: Ratio
    """Facility energy over IT energy."""
    price_usd_per_j: tuple[UsdPerJoule, ...]
    """Price by hour, repeated when the run is longer; one value is a flat price."""
    carbon_g_per_j: tuple[GramsPerJoule, ...]
    """Carbon intensity by hour, likewise."""


class Bill(NamedTuple):
    """Energy with its cost and its carbon."""

    energy_j: float
    cost_usd: float
    carbon_g: float


NOTHING = Bill(0.0, 0.0, 0.0)


class Meter:
    """What the nodes of a run did and drew."""

    def __init__(
        self, outcome: Outcome, power: Power | None, *, sleep_after_s: float | None = None
    ) -> None:
        """Read all meters; without power they show the states of the nodes alone."""
        self._outcome = outcome
        self._power = power
        hours = max(1, math.ceil(outcome.end_s / SECONDS_PER_HOUR))
        self._lasts_s = np.full(hours, SECONDS_PER_HOUR)
        self._lasts_s[-1] = outcome.end_s - (hours - 1) * SECONDS_PER_HOUR
        self._drawn_j: dict[tuple[str, NodeState], Hours] = {}
        self._node_s = dict.fromkeys(_STATES, 0.0)
        stretches = node_stretches(outcome, sleep_after_s)
        for state, one in stretches.items():
            self._node_s[state] = math.fsum(one.end_s - one.start_s)
        spares = sum(group.num_spares for group in outcome.cluster.groups)
        self._node_s["spare"] = spares * outcome.end_s
        if power is None:
            return
        draws = {
            "busy": power.idle_fraction,
            "idle": power.idle_fraction,
            "asleep": power.asleep_fraction,
            "down": power.down_fraction,
        }
        for name in outcome.usage.queues:
            weight = _weights(outcome, name)
            for state, one in stretches.items():
                drawn = draws[state] * one.hours(outcome.end_s, weight)
                self._drawn_j[name, state] = drawn
            self._drawn_j[name, "busy"] = self._drawn_j[name, "busy"] + self._work_j(name, power)
            groups = groups_of(outcome, name)
            waiting = sum(group.num_spares * group.node_power_w for group in groups)
            self._drawn_j[name, "spare"] = power.idle_fraction * waiting * self._lasts_s
        self._drawn_j["", "other"] = power.other_power_w * self._lasts_s

    def bill(self, keep: Iterable[tuple[str, NodeState]] | None = None) -> Bill:
        """Return what some partitions in some states cost, the overhead included; all if absent."""
        if self._power is None:
            return NOTHING
        joules = self._joules(self._drawn_j if keep is None else keep, self._power)
        price = np.resize(np.array(self._power.price_usd_per_j), joules.size)
        carbon = np.resize(np.array(self._power.carbon_g_per_j), joules.size)
        return Bill(float(joules.sum()), float(joules @ price), float(joules @ carbon))

    def hourly_j(self, partition: str | None = None) -> Hours | None:
        """Return what a partition, or the whole centre, took of each hour, the overhead included.

        The shape is (num_hours,); None without power, or where there is no such partition.
        """
        mine = [key for key in self._drawn_j if partition is None or key[0] == partition]
        return self._joules(mine, self._power) if self._power is not None and mine else None

    def _joules(self, keys: Iterable[tuple[str, NodeState]], power: Power) -> Hours:
        drawn = sum((self._drawn_j[key] for key in keys), np.zeros_like(self._lasts_s))
        return np.asarray(drawn * power.pue_ratio)

    def queue_bills(self, held: Mapping[str, float]) -> dict[str, Bill]:
        """Return the bill of each queue by what it held; they sum to the whole bill.

        A queue pays for the nodes that it owns, idle or busy; queues that share nodes pay for them
        by what they held. What stands beside the nodes is shared in proportion to that.
        """
        bills = dict.fromkeys(held, NOTHING)
        if self._power is None or not held:
            return bills
        for name in self._outcome.usage.queues:
            owners = {group.queue for group in groups_of(self._outcome, name)}
            payers = tuple(queue for queue in held if queue in owners) or tuple(held)
            mine = [key for key in self._drawn_j if key[0] == name]
            _share(bills, self.bill(mine), {queue: held[queue] for queue in payers})
        drawn = {queue: bill.energy_j for queue, bill in bills.items()}
        _share(bills, self.bill([("", "other")]), drawn)
        return bills

    def states(self) -> tuple[StateFigures, ...]:
        """Return what the nodes in each state came to; they sum to the whole bill."""
        found = []
        for state in _STATES:
            bill = self.bill([key for key in self._drawn_j if key[1] == state])
            energy_j = bill.energy_j / self._power.pue_ratio if self._power else 0.0
            found.append(
                StateFigures(
                    state=state,
                    node_s=self._node_s[state],
                    energy_j=energy_j,
                    overhead_j=bill.energy_j - energy_j,
                    cost_usd=bill.cost_usd,
                    carbon_g=bill.carbon_g,
                )
            )
        return tuple(found)

    def _work_j(self, name: str, power: Power) -> Hours:
        """Return what work adds to idling: in proportion to what is in use."""
        groups = groups_of(self._outcome, name)
        total = sum(group.num_nodes * group.quanta for group in groups)
        if not total:
            return np.zeros_like(self._lasts_s)
        nameplate_w = sum(group.num_nodes * group.node_power_w for group in groups)
        used = self._outcome.usage.quanta_s(name)[: self._lasts_s.size] / total
        used = np.pad(used, (0, self._lasts_s.size - used.size))
        return nameplate_w * (power.busy_fraction - power.idle_fraction) * used


def groups_of(outcome: Outcome, partition: str) -> list[NodeGroup]:
    """Return the nodes of a partition: those of a queue, or all of one kind when queues share."""
    return [group for group in outcome.cluster.groups if _is_in(outcome, group, partition)]


def _is_in(outcome: Outcome, group: NodeGroup, partition: str) -> bool:
    shared = {"all-gpus": True, "all-cpus": False}
    if partition not in shared or any(g.queue == partition for g in outcome.cluster.groups):
        return group.queue == partition
    return bool(group.gpus_per_node) == shared[partition]


def _weights(outcome: Outcome, partition: str) -> Hours:
    """Return the nameplate power of each node of a partition, 0 elsewhere, shape (num_nodes,)."""
    groups = outcome.cluster.groups
    each = [g.node_power_w if _is_in(outcome, g, partition) else 0.0 for g in groups]
    return np.repeat(np.array(each), [group.num_nodes for group in groups])


def _share(bills: dict[str, Bill], bill: Bill, shares: Mapping[str, float]) -> None:
    """Add a bill to those of the queues by their shares; evenly when all are zero."""
    whole = math.fsum(shares.values())
    for queue, share in shares.items():
        part = share / whole if whole else 1 / len(shares)
        sums = (mine + part * more for mine, more in zip(bills[queue], bill, strict=True))
        bills[queue] = Bill(*sums)
