"""From single events to what lasts: attempts on nodes, waits, lost nodes, and sums of them in time.

Everything is read off the columns of the log at once, so a year of a large centre takes seconds.
"""

from dataclasses import dataclass

import numpy as np

from clusterwright.model.event import EventKind
from clusterwright.twin.recording import Floats, Numbers, Recording

_TAKES = (EventKind.START, EventKind.RESIZE)
_LEAVES = (EventKind.FINISH, EventKind.TIMEOUT, EventKind.CANCEL)
_QUEUES = (EventKind.SUBMIT, EventKind.INTERRUPT, EventKind.PREEMPT)
_OFF = (EventKind.NODE_FAIL, EventKind.NODE_REPAIR)

STILL = -1
"""End of a span that had none when the run was over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """Things that last, one a row; all columns have the shape (num_spans,)."""

    subject: Numbers
    """Index of the job or of the node."""
    since_s: Floats
    """When it began."""
    until_s: Floats
    """When it was over, at the latest the end of the run."""
    end: Numbers
    """Kind of the event that ended it; `STILL` when none did."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempts(Spans):
    """Jobs on nodes: one row for each time that a job held nodes."""

    num_nodes: Numbers
    """How many nodes it held."""
    attempt: Numbers
    """Row of the attempt for each node that it held, shape (num_held,)."""
    node: Numbers
    """That node, shape (num_held,)."""
    quanta: Numbers
    """What it took of that node, shape (num_held,)."""


def attempts(recording: Recording) -> Attempts:
    """Return each time that a job held nodes, in order of the starts."""
    columns = recording.log.columns()
    spans, rows = _spans(recording, "job", _TAKES, (*_LEAVES, *_QUEUES[1:], EventKind.RESIZE))
    many = columns["num_nodes"]
    row_of_event = np.full(many.size, -1)
    row_of_event[rows] = np.arange(rows.size)
    attempt = np.repeat(row_of_event, many)
    held = attempt >= 0
    return Attempts(
        subject=spans.subject,
        since_s=spans.since_s,
        until_s=spans.until_s,
        end=spans.end,
        num_nodes=many[rows],
        attempt=attempt[held],
        node=columns["nodes"][held],
        quanta=columns["quanta"][held],
    )


def waits(recording: Recording) -> Spans:
    """Return each time that a job waited."""
    return _spans(recording, "job", _QUEUES, (EventKind.START, EventKind.CANCEL))[0]


def losses(recording: Recording) -> Spans:
    """Return each time that a node was lost."""
    return _spans(recording, "node", _OFF[:1], _OFF[1:])[0]


def integrals(
    spans: tuple[Floats, Floats],
    weight: Numbers | Floats,
    group: Numbers,
    *,
    shape: tuple[int, int],
    step_s: float,
) -> Floats:
    """Return the integral of weighted spans over each step of time, group by group.

    Parameters
    ----------
    spans
        When each begins and ends, both of shape (num_spans,).
    weight
        Weight of each, shape (num_spans,).
    group
        Group of each, shape (num_spans,).
    shape
        Number of groups and number of steps, `(num_groups, num_steps)`, which is the shape of what
        is returned, in units x s. What lies beyond the last step is not counted.
    step_s
        How long a step is.
    """
    num_groups, num_steps = shape
    whole = num_groups * (num_steps + 1)
    change, part = np.zeros(whole), np.zeros(whole)
    for times, sign in ((spans[0], 1.0), (spans[1], -1.0)):
        clipped = np.minimum(times, num_steps * step_s)
        step = np.minimum((clipped // step_s).astype(np.int64), num_steps)
        place = group * (num_steps + 1) + step
        change += np.bincount(place, sign * weight, minlength=whole)
        # The step in which a span begins or ends is covered in part only.
        part -= np.bincount(place, sign * weight * (clipped - step * step_s), minlength=whole)
    level = np.cumsum(change.reshape(num_groups, num_steps + 1), axis=1)
    total: Floats = (level * step_s + part.reshape(num_groups, num_steps + 1))[:, :num_steps]
    # Sums of many spans that cancel leave crumbs of rounding behind.
    return np.maximum(total, 0.0)


def _spans(
    recording: Recording, of: str, opens: tuple[EventKind, ...], closes: tuple[EventKind, ...]
) -> tuple[Spans, Numbers]:
    """Return spans from an event of some kinds to the next of others, and the rows they begin at.

    Both kinds are looked for among the events of one subject, a column of the log.
    """
    columns = recording.log.columns()
    kind, subject = columns["kind"], columns[of].astype(np.int64)
    rows = np.flatnonzero(np.isin(kind, (*opens, *closes)) & (subject >= 0))
    rows = rows[np.argsort(subject[rows], kind="stable")]  # subject by subject, in order of time
    opening = np.flatnonzero(np.isin(kind[rows], opens))
    follows = np.minimum(opening + 1, max(rows.size - 1, 0))
    ended = (
        (opening + 1 < rows.size)
        & (subject[rows[follows]] == subject[rows[opening]])
        & np.isin(kind[rows[follows]], closes)
    )
    begin, end = rows[opening], rows[follows]
    order = np.argsort(begin)
    begin, end, ended = begin[order], end[order], ended[order]
    time_s = columns["time_s"].astype(np.float64)
    spans = Spans(
        subject=subject[begin],
        since_s=time_s[begin],
        until_s=np.where(ended, time_s[end], recording.end_s),
        end=np.where(ended, kind[end], STILL).astype(np.int64),
    )
    return spans, begin
