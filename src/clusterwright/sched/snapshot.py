"""A frozen picture of a state, for whoever must keep one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterwright.sched.nodes import Placed

if TYPE_CHECKING:
    from clusterwright.sched.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A frozen picture of a state."""

    waiting: tuple[int, ...]
    """Jobs that wait, by index, those that may not be considered yet among them."""
    running: tuple[tuple[int, Placed], ...]
    """Jobs that run, with their nodes."""
    free: tuple[tuple[int, int], ...]
    """Free quanta by node, nodes that are down left out."""
    down: tuple[int, ...]
    """Nodes that are down."""
    used: tuple[tuple[str, int], ...]
    """Quanta in use by queue."""
    remaining: tuple[tuple[int, float], ...]
    """Seconds of work left of jobs that ran and were stopped."""


def snapshot_of(state: "State") -> Snapshot:
    """Return a frozen picture of the state."""
    closed = [pool.down for pool in state.pools.values()]
    down = tuple(
        sorted(
            node
            for pool, mask in zip(state.pools.values(), closed, strict=True)
            for node in pool.nodes()
            if mask >> (node - pool.first) & 1
        )
    )
    lost = set(down)
    return Snapshot(
        waiting=tuple(
            sorted([*state.gates, *(j for line in state.lines.values() for j in line.jobs())])
        ),
        running=tuple(sorted((job, one.placed) for job, one in state.running.items())),
        free=tuple(
            sorted(
                (node, pool.free_at(node))
                for pool in state.pools.values()
                for node in pool.nodes()
                if node not in lost
            )
        ),
        down=down,
        used=tuple(sorted((name, one.used) for name, one in state.accounts.items())),
        remaining=tuple(sorted(state.remaining.items())),
    )
