"""What happens to jobs and nodes: the same events from the twin and from a live centre."""

from enum import IntEnum
from typing import NamedTuple

from clusterwright.units import Seconds


class EventKind(IntEnum):
    """Kinds of events; the value is also the order among events of the same second.

    What frees resources comes first, so that an arrival of that second may use them; what asks for
    them comes last. Kinds that came later stand at the end, because logs keep the values.
    """

    FINISH = 0
    """A job is through."""
    TIMEOUT = 1
    """A job has reached its time limit and is stopped for good."""
    CANCEL = 2
    """A job is taken back, whether it waits or runs."""
    NODE_REPAIR = 3
    """A node is back."""
    UNDRAIN = 4
    """A node takes jobs again."""
    NODE_FAIL = 5
    """A node is lost, with what ran on it."""
    DRAIN = 6
    """A node takes no more jobs; those on it go on."""
    INTERRUPT = 7
    """A job stops because a node was lost; it is queued again."""
    PREEMPT = 8
    """A job stops for another; it is queued again."""
    SUBMIT = 9
    """A job arrives."""
    HOLD = 10
    """A waiting job is held."""
    RELEASE = 11
    """What kept a waiting job from being considered is gone."""
    START = 12
    """A job starts on its nodes."""
    STAGED = 13
    """The data that a job reads are on the hot tier, for it and for all others that read them."""
    EVICTED = 14
    """The data that a job read had to make room on the hot tier."""
    HOLD_BY_ADMIN = 15
    """A waiting job is held by an operator; its owner cannot undo it."""
    RELEASE_BY_ADMIN = 16
    """An operator releases a job, whoever held it."""
    DEFER = 17
    """A job that could be considered waits for a better hour; a release ends that."""
    RESIZE = 18
    """A running job goes on with other nodes, more or fewer of them."""


class Event(NamedTuple):
    """One thing that happened.

    A named tuple: a run makes millions of them, and a frozen dataclass takes three times as long.
    """

    time_s: Seconds
    """When, from the start of the run."""
    kind: EventKind
    """What."""
    job: int = -1
    """Index of the job in the run; -1 when no job is meant."""
    node: int = -1
    """Index of the node; -1 when no single node is meant."""
    nodes: tuple[tuple[int, int], ...] = ()
    """On a start or a change of size: nodes with the quanta taken on each."""
    part: int = -1
    """On a start on a share of an accelerator: which accelerator of the node; else -1."""
    kept_s: Seconds = 0.0
    """On a stop or a change of size: work done since the start that is not lost."""
