"""What each node did when: busy, idle, asleep or down, read off the event log of a run.

Nothing is kept for it during the run, so that nothing slows the run down. Of each node the moments
at which something on it changed are put in order; between two of them it is down, or busy, or
idle, and an idle stretch longer than the policy allows is sleep from then on.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from clusterwright.model.event import EventKind
from clusterwright.twin.kernel import Outcome
from clusterwright.twin.usage import Hours
from clusterwright.units import SECONDS_PER_HOUR

NodeDid = Literal["busy", "idle", "asleep", "down"]
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretches:
    """Times of single nodes in one state, each array of shape (num_stretches,)."""

    node: _Numbers
    """Which node."""
    start_s: Hours
    """From when."""
    end_s: Hours
    """Until when."""

    def hours(self, end_s: float, weight: Hours) -> Hours:
        """Return the integral of the nodes' weights over each hour, shape (num_hours,).

        Parameters
        ----------
        end_s
            End of the run.
        weight
            Weight of each node, shape (num_nodes,): 1 for node-seconds, watts for joules.
        """
        count = max(1, int(np.ceil(end_s / SECONDS_PER_HOUR)))
        edges = np.minimum(np.arange(count + 1) * SECONDS_PER_HOUR, end_s)
        mine = weight[self.node]
        return np.diff(_before(self.start_s, mine, edges) - _before(self.end_s, mine, edges))


def node_stretches(outcome: Outcome, sleep_after_s: float | None) -> dict[NodeDid, Stretches]:
    """Return what the nodes of a run did; the stretches of a node cover the run, each moment once.

    Parameters
    ----------
    outcome
        A run.
    sleep_after_s
        Idle time after which a node sleeps; absent, nodes stay awake.
    """
    num_nodes = sum(group.num_nodes for group in outcome.cluster.groups)
    node, time_s, busy, down = _changes(outcome, num_nodes)
    order = np.lexsort((-(busy + down), time_s, node))  # what begins before what ends
    node, time_s = node[order], time_s[order]
    on, out = np.cumsum(busy[order]), np.cumsum(down[order])
    first = np.searchsorted(node, node)  # a node that is down at the end is not, for the next one
    out = out - (out[first] - down[order][first])
    inside = node[:-1] == node[1:]
    start, end = time_s[:-1][inside], time_s[1:][inside]
    where = node[:-1][inside]
    is_down = out[:-1][inside] > 0
    is_busy = (on[:-1][inside] > 0) & ~is_down
    idle = ~is_down & ~is_busy
    falls = end if sleep_after_s is None else np.minimum(end, start + sleep_after_s)
    return {
        "busy": Stretches(where[is_busy], start[is_busy], end[is_busy]),
        "idle": Stretches(where[idle], start[idle], falls[idle]),
        "asleep": Stretches(where[idle], falls[idle], end[idle]),
        "down": Stretches(where[is_down], start[is_down], end[is_down]),
    }


def _changes(outcome: Outcome, num_nodes: int) -> tuple[_Numbers, Hours, _Numbers, _Numbers]:
    """Return nodes, times and by how much their jobs and their losses change."""
    log = outcome.log.columns()
    kind, time_s = log["kind"], np.minimum(log["time_s"], outcome.end_s)
    starts = np.flatnonzero(np.isin(kind, (EventKind.START, EventKind.RESIZE)))
    many = log["num_nodes"][starts].astype(np.int64)
    nodes = log["nodes"]
    ends = np.empty(starts.size)
    # The runs of the records are those starts, job by job.
    ends[np.argsort(log["job"][starts], kind="stable")] = outcome.records.runs.end_s
    begun = np.repeat(time_s[starts], many)
    ended = np.repeat(ends, many)
    lost = kind == EventKind.NODE_FAIL
    back = kind == EventKind.NODE_REPAIR
    every = np.arange(num_nodes)
    none = np.zeros(num_nodes, dtype=np.int64)
    one, zero = np.ones(nodes.size, dtype=np.int64), np.zeros(nodes.size, dtype=np.int64)
    changed = lost | back
    sign = np.where(lost, 1, -1)[changed]
    return (
        np.concatenate([every, every, nodes, nodes, log["node"][changed]]).astype(np.int64),
        np.concatenate([none.astype(float), none + outcome.end_s, begun, ended, time_s[changed]]),
        np.concatenate([none, none, one, -one, 0 * sign]),
        np.concatenate([none, none, zero, zero, sign]),
    )


def _before(times_s: Hours, weight: Hours, edges: Hours) -> Hours:
    """Return the sum of weight x (edge - time) over the times before each edge."""
    order = np.argsort(times_s, kind="stable")
    times_s, weight = times_s[order], weight[order]
    counts = np.searchsorted(times_s, edges)
    sums = np.concatenate([[0.0], np.cumsum(weight)])
    moments = np.concatenate([[0.0], np.cumsum(weight * times_s)])
    found: Hours = sums[counts] * edges - moments[counts]
    return found
