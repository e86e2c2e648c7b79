"""Nodes that sleep when nothing has run on them for a while, and the time they take to wake up.

Only the waking is decided here, since a start on a sleeping node begins its work later. How long
nodes slept is read off the event log, by `states`.
"""

from clusterwright.sched.nodes import Placed
from clusterwright.sched.state import State


class Sleepers:
    """Since when each node has been idle."""

    def __init__(self, state: State, sleep_after_s: float, wake_s: float) -> None:
        """Begin with all nodes idle and awake."""
        self._on_node = state.on_node
        self._after_s = sleep_after_s
        self._lasts_s = wake_s
        self._idle_since_s = [0.0] * len(state.on_node)
        self._placed: dict[int, Placed] = {}

    @classmethod
    def of(cls, state: State, wake_s: float) -> "Sleepers | None":
        """Return the sleepers of a policy; None where it puts no node to sleep."""
        after_s = state.policy.sleep_after_s
        return None if after_s is None else cls(state, after_s, wake_s)

    def wake_s(self, job: int, placed: Placed, now_s: float) -> float:
        """Return how long the nodes of a job that starts take until all of them are awake."""
        for node, _ in self._placed.get(job, ()):  # it left them in this very moment
            self._idle_since_s[node] = now_s
        self._placed[job] = placed
        for node, _ in placed:
            if not self._on_node[node] and now_s - self._idle_since_s[node] > self._after_s:
                return self._lasts_s
        return 0.0

    def stopped(self, job: int, now_s: float) -> None:
        """Note that a job has left its nodes."""
        for node, _ in self._placed.pop(job):
            self._idle_since_s[node] = now_s

    def repaired(self, node: int, now_s: float) -> None:
        """Note that a node is back, awake."""
        self._idle_since_s[node] = now_s
