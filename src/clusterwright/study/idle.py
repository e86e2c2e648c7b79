"""Idle nodes switched off and woken again, through the hours of a run."""

import itertools
import math

import numpy as np
import numpy.typing as npt

from clusterwright.sched.outlook import Hours
from clusterwright.sched.sleep import SleepingNode
from clusterwright.units import SECONDS_PER_HOUR


def slept_j(
    num_busy: npt.NDArray[np.int64], num_nodes: int, node: SleepingNode, *, after_s: float
) -> Hours:
    """Return the energy that sleeping saves, by hour; below zero where more is spent on waking.

    Parameters
    ----------
    num_busy
        Nodes that are busy in each hour; the same ones are always taken first.
    num_nodes
        Nodes in all.
    node
        What one draws.
    after_s
        How long a node idles before it is switched off.

    Notes
    -----
    A node is woken so that it is ready when it is called, in the hour before, as a waiting job's
    start is known. One that is idle at the end is not woken.
    """
    saved = np.zeros(num_busy.size)
    levels = np.unique(np.minimum(num_busy, num_nodes))
    edges = np.append(levels, num_nodes)
    for level, upto in itertools.pairwise(edges.tolist()):
        # Nodes from `level` on to the next count that occurs are idle in the same hours.
        if upto > level:
            saved += (upto - level) * _saved_by_one(num_busy <= level, node, after_s)
    return saved


def _saved_by_one(idle: npt.NDArray[np.bool_], node: SleepingNode, after_s: float) -> Hours:
    saved = np.zeros(idle.size)
    edges = np.flatnonzero(np.diff(idle, prepend=False, append=False))
    skipped, part = divmod(after_s / SECONDS_PER_HOUR, 1.0)
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        first = begin + int(skipped)
        if first >= end:
            continue
        saved[first:end] += (node.idle_w - node.asleep_w) * SECONDS_PER_HOUR
        saved[first] -= (node.idle_w - node.asleep_w) * SECONDS_PER_HOUR * part
        if end < idle.size:
            wakes = max(1, math.ceil(node.wake_s / SECONDS_PER_HOUR))
            hours = slice(max(first, end - wakes), end)
            cost = node.wake_s * (node.wake_w - node.asleep_w)
            saved[hours] -= cost / (hours.stop - hours.start)
    return saved
