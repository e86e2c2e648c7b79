"""What happens to jobs and nodes: the same events from the twin and from a live centre."""

from dataclasses import dataclass
from enum import IntEnum

from clusterwright.units import Seconds


class EventKind(IntEnum):
    """Kinds of events; the value is also the order among events of the same second.

    What frees resources comes first, so that an arrival of that second may use them; what asks for
    them comes last.
    """

    FINISH = 0
    """A job is through."""
    NODE_REPAIR = 1
    """A node is back."""
    NODE_FAIL = 2
    """A node is lost, with what ran on it."""
    INTERRUPT = 3
    """A job stops because a node was lost; it is queued again."""
    PREEMPT = 4
    """A job stops for another; it is queued again."""
    SUBMIT = 5
    """A job arrives."""
    START = 6
    """A job starts on its nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    time_s: Seconds
    """When, from the start of the run."""
    kind: EventKind
    """What."""
    job: int = -1
    """Index of the job in the run; -1 when no job is meant."""
    node: int = -1
    """Index of the node; -1 when no single node is meant."""
    nodes: tuple[tuple[int, int], ...] = ()
    """On a start: nodes with the quanta taken on each."""
