"""A cap on what a centre draws, as accelerators that may be busy and starts that must wait."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.errors import UsageError
from clusterwright.sched.outlook import Hours
from clusterwright.units import Ratio, Watts

Quanta = npt.NDArray[np.int64]


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
    def quanta(self) -> int:
        """Quanta of all nodes."""
        return self.num_nodes * self.quanta_per_node

    @property
    def quantum_w(self) -> Watts:
        """What one quantum draws more when it is busy."""
        return (self.busy_w - self.idle_w) / self.quanta_per_node


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A job that would start in the first hour."""

    num_quanta: int
    """Quanta that it takes."""
    hours_ratio: Ratio
    """Hours that it takes them; 1 for a job that can pause when the cap falls."""


def busy_quanta(cap_w: Hours, nodes: PoweredNodes, *, other_w: float) -> Quanta:
    """Return how many quanta may be busy under a cap, by hour; 0 where even idle nodes pass it.

    Parameters
    ----------
    cap_w
        Most that the facility may draw, by hour; infinite where there is no cap.
    nodes
        The nodes.
    other_w
        What draws beside them all the time, cooling and losses included.

    Examples
    --------
    >>> nodes = PoweredNodes(num_nodes=4, quanta_per_node=8, idle_w=3000, busy_w=9000)
    >>> busy_quanta(np.array([20e3, 36e3, np.inf]), nodes, other_w=2000).tolist()
    [8, 29, 32]
    """
    if np.isnan(cap_w).any():
        msg = "the power cap has hours without a number; write inf where there is none"
        raise UsageError(msg)
    headroom_w = cap_w - other_w - nodes.num_nodes * nodes.idle_w
    allowed = np.floor(headroom_w / nodes.quantum_w + 1e-9)
    return np.clip(allowed, 0, nodes.quanta).astype(np.int64)


def over_cap(starts: Sequence[Start], used: Quanta, allowed: Quanta) -> tuple[bool, ...]:
    """Return for each start whether it must wait with the reason POWER_CAP.

    Starts are taken in their order; one that fits goes, and later ones see what it took. A job that
    cannot pause must fit under the cap for as long as it runs, so that it need not be stopped.

    Parameters
    ----------
    starts
        Jobs in the order of the policy.
    used
        Quanta that running jobs hold, by hour from now on, as far as is known.
    allowed
        Quanta that may be busy, by hour; of the same length.
    """
    if used.shape != allowed.shape:
        msg = f"quanta in use for {used.size} hours and allowed ones for {allowed.size}"
        raise UsageError(msg)
    room = allowed - used
    waits = []
    for start in starts:
        hours = min(room.size, max(1, int(np.ceil(start.hours_ratio))))
        fits = bool((room[:hours] >= start.num_quanta).all())
        if fits:
            room[:hours] -= start.num_quanta
        waits.append(not fits)
    return tuple(waits)
