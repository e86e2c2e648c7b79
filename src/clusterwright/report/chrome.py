"""A run in the trace event format, which Perfetto and Chrome's trace viewer open.

A process for each leaf switch (for each queue where the topology is not known), a track for each
node, a slice for each time that a job held it; beside them, counters by queue. Viewers want slices
of one track to lie side by side or one within the other, so what overlaps on a node goes to
further tracks of that node.

Source: "Trace Event Format" of the Chromium project, phases X, C and M; times in microseconds.
"""

import gzip
import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clusterwright.model.event import EventKind
from clusterwright.model.job import QUANTA
from clusterwright.twin import spans
from clusterwright.twin.hourly import queue_use, queue_waiting
from clusterwright.twin.recording import Numbers, Recording
from clusterwright.units import SECONDS_PER_HOUR

MOST_NODES = 2000
"""With more nodes than that, a track is a leaf switch instead of a node."""
MOST_SLICES = 1_000_000
"""With more slices than that, the shortest are left out, and their number is told."""
_BLOCK = 32  # nodes of a track where the topology is not known and nodes are too many
_MOST_STEPS = 2000  # of a counter; hours are put together beyond
_MICROSECONDS = 1e6  # of a second: the unit of the format, not one of ours
_LOST = "node lost"
_ENDS = {
    EventKind.FINISH: "finished",
    EventKind.TIMEOUT: "time limit",
    EventKind.CANCEL: "cancelled",
    EventKind.INTERRUPT: "node lost",
    EventKind.PREEMPT: "preempted",
    EventKind.RESIZE: "resized",
}

Row = dict[str, Any]
"""One event of the format."""


def trace_json(recording: Recording) -> bytes:
    """Return a run as gzip of a trace in JSON; the same run gives the same bytes."""
    tracks = _tracks(recording)
    bars, left_out = _bars(recording, tracks)
    head = {
        "displayTimeUnit": "ms",
        "otherData": {
            "producer": "clusterwright",
            "track": tracks.what,
            "shortest_slices_left_out": left_out,
        },
    }
    rows = [*_counters(recording), *_slices(recording, tracks, bars)]
    text = json.dumps(head | {"traceEvents": rows}, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tracks:
    """Where each node is drawn."""

    what: str
    of_node: Numbers
    names: list[str]
    process: Numbers
    process_names: list[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bars:
    """Slices to draw; the subject is a job, or -1 for lost nodes."""

    track: Numbers
    subject: Numbers
    attempt: Numbers
    since_us: Numbers
    until_us: Numbers
    nodes: Numbers
    quanta: Numbers


def _tracks(recording: Recording) -> _Tracks:
    names = [str(name) for name in recording.node_name]
    queues = [str(name) for name in recording.queue_name]
    queue, leaf = recording.queue_of_node, recording.node_leaf
    number = np.arange(recording.num_nodes)
    if recording.num_nodes <= MOST_NODES:
        first, process = _alike(queue, leaf)
        where = [
            f"{queues[queue[i]]}, leaf {leaf[i] + 1}" if leaf[i] >= 0 else queues[queue[i]]
            for i in first.tolist()
        ]
        return _Tracks(
            what="a node", of_node=number, names=names, process=process, process_names=where
        )
    known = leaf >= 0
    first, of_node = _alike(queue, leaf, np.where(known, 0, number // _BLOCK))
    last = number[::-1][np.unique(of_node[::-1], return_index=True)[1]]
    return _Tracks(
        what="a leaf switch" if known.all() else f"a leaf switch, or {_BLOCK} neighbouring nodes",
        of_node=of_node,
        names=[
            f"{names[one]} to {names[other]}" if one != other else names[one]
            for one, other in zip(first.tolist(), last.tolist(), strict=True)
        ],
        process=queue[first],
        process_names=queues,
    )


def _alike(*columns: Numbers) -> tuple[Numbers, Numbers]:
    """Return the first node of each group that is alike in all columns, and each node's group."""
    _, first, group = np.unique(np.stack(columns), axis=1, return_index=True, return_inverse=True)
    return first, group.reshape(-1)


def _bars(recording: Recording, tracks: _Tracks) -> tuple[_Bars, int]:
    """Return the slices, by track and time, and how many were left out."""
    held, lost = spans.attempts(recording), spans.losses(recording)
    num = len(tracks.names)
    # Nodes of one attempt on one track become one slice.
    key, place = np.unique(held.attempt * num + tracks.of_node[held.node], return_inverse=True)
    attempt, track = key // num, key % num
    since = np.concatenate([held.since_s[attempt], lost.since_s])
    until = np.concatenate([held.until_s[attempt], lost.until_s])
    none = np.full(lost.subject.size, -1)
    nodes = np.bincount(place, minlength=key.size)
    quanta = np.bincount(place, held.quanta, minlength=key.size)
    columns = (
        np.concatenate([track, tracks.of_node[lost.subject]]),
        np.concatenate([held.subject[attempt], none]),
        np.concatenate([attempt, none]),
        np.rint(since * _MICROSECONDS).astype(np.int64),
        np.rint(until * _MICROSECONDS).astype(np.int64),
        np.concatenate([nodes, np.ones_like(none)]),
        np.concatenate([quanta, none * 0]).astype(np.int64),
    )
    lasts = columns[4] - columns[3]
    kept = np.argsort(-lasts, kind="stable")[:MOST_SLICES]
    kept = kept[np.lexsort((columns[4][kept], columns[3][kept], columns[0][kept]))]
    track, subject, attempt, since_us, until_us, nodes, quanta = (one[kept] for one in columns)
    bars = _Bars(
        track=track,
        subject=subject,
        attempt=attempt,
        since_us=since_us,
        until_us=until_us,
        nodes=nodes,
        quanta=quanta,
    )
    return bars, lasts.size - kept.size


def _slices(recording: Recording, tracks: _Tracks, bars: _Bars) -> Iterator[Row]:
    """Yield the names of processes and tracks, and the slices on them."""
    lanes = _lanes(bars)
    used = np.zeros(len(tracks.names), dtype=np.int64)
    np.maximum.at(used, bars.track, lanes + 1)
    first_tid = np.concatenate([[1], 1 + np.cumsum(np.maximum(used, 1))])
    for number, name in enumerate(tracks.process_names):
        yield _named("process_name", number + 2, 0, name=name)
        yield _named("process_sort_index", number + 2, 0, sort_index=number + 2)
    for number, name in enumerate(tracks.names):
        pid = int(tracks.process[number]) + 2
        for lane in range(max(int(used[number]), 1)):
            tid = int(first_tid[number]) + lane
            yield _named("thread_name", pid, tid, name=f"{name} ({lane + 1})" if lane else name)
            yield _named("thread_sort_index", pid, tid, sort_index=tid)
    places = zip(
        bars.since_us.tolist(),
        (bars.until_us - bars.since_us).tolist(),
        (tracks.process[bars.track] + 2).tolist(),
        (first_tid[bars.track] + lanes).tolist(),
        strict=True,
    )
    for (since, lasts, pid, tid), facts in zip(places, _facts(recording, bars), strict=True):
        yield {"ph": "X", "ts": since, "dur": lasts, "pid": pid, "tid": tid, **facts}


def _facts(recording: Recording, bars: _Bars) -> Iterator[Row]:
    """Yield name, category and particulars of each slice."""
    held = spans.attempts(recording)
    ends = [_ENDS.get(kind, "still running") for kind in held.end.tolist()]
    jobs, queues = recording.job_id.tolist(), recording.job_queue.tolist()
    users, in_all = recording.job_user.tolist(), held.num_nodes.tolist()
    on_gpus = recording.job_gpus[bars.subject] > 0 if recording.num_jobs else bars.subject > 0
    taken = np.round(bars.quanta / np.where(on_gpus, QUANTA, 1), 3)
    units = np.where(on_gpus, "gpus_here", "cores_here")
    for job, attempt, unit, amount, nodes in zip(
        bars.subject.tolist(),
        bars.attempt.tolist(),
        units.tolist(),
        taken.tolist(),
        bars.nodes.tolist(),
        strict=True,
    ):
        if job < 0:
            yield {"name": _LOST, "cat": "lost", "cname": "terrible", "args": {}}
            continue
        particulars: Row = {
            "queue": queues[job],
            "user": users[job],
            unit: amount,
            "nodes_here": nodes,
            "nodes": in_all[attempt],
            "end": ends[attempt],
        }
        yield {"name": jobs[job], "cat": queues[job], "args": particulars}


def _lanes(bars: _Bars) -> Numbers:
    """Return for each slice the first lane of its track that is free when it begins."""
    lanes = np.zeros(bars.track.size, dtype=np.int64)
    busy: list[tuple[int, int]] = []  # until when, lane
    free: list[int] = []
    track, count = -1, 0
    for i, (at, since, until) in enumerate(
        zip(bars.track.tolist(), bars.since_us.tolist(), bars.until_us.tolist(), strict=True)
    ):
        if at != track:
            track, count = at, 0
            busy.clear()
            free.clear()
        while busy and busy[0][0] <= since:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, count = count, count + 1
        lanes[i] = lane
        heapq.heappush(busy, (until, lane))
    return lanes


def _counters(recording: Recording) -> Iterator[Row]:
    """Yield use and waiting by queue, as means of an hour or of more in a long run."""
    hours = max(1, int(np.ceil(recording.end_s / SECONDS_PER_HOUR)))
    each = -(-hours // _MOST_STEPS)
    step_s = each * SECONDS_PER_HOUR
    count = -(-hours // each)
    lasts = np.full(count, step_s)
    lasts[-1] = recording.end_s - (count - 1) * step_s or step_s
    yield _named("process_name", 1, 0, name=f"queues, means of {each} h")
    yield _named("process_sort_index", 1, 0, sort_index=1)
    end = round(recording.end_s * _MICROSECONDS)
    for what, unit, levels in (
        ("in use", "gpus", queue_use(recording, count, step_s) / lasts),
        ("waiting", "jobs", queue_waiting(recording, count, step_s) / lasts),
    ):
        for queue, level in zip(recording.queue_name.tolist(), levels, strict=True):
            row: Row = {"ph": "C", "name": f"{queue} {what}", "pid": 1, "tid": 0}
            shown = np.round(level, 3)
            changed = np.flatnonzero(np.diff(shown, prepend=-1.0))
            for step in changed.tolist():
                at = round(step * step_s * _MICROSECONDS)
                yield row | {"ts": at, "args": {unit: float(shown[step])}}
            if end > 0:  # a run of no time has its counters at one moment only
                yield row | {"ts": end, "args": {unit: 0.0}}


def _named(kind: str, pid: int, tid: int, **args: object) -> Row:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": args}
