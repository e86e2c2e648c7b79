"""All events of a run in columns, and as bytes that are the same for the same run."""

import hashlib
from array import array
from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from clusterwright.model.event import Event, EventKind

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.int8] | npt.NDArray[np.float64]
_BLOCK = 4096  # events that are put into the columns together


class EventLog:
    """Events in the order in which they happened."""

    def __init__(self) -> None:
        """Begin empty."""
        self._fresh: list[Event] = []
        self._num = 0
        self._time = array("d")
        self._kind = array("b")
        self._job = array("q")
        self._node = array("q")
        self._part = array("b")
        self._kept = array("d")
        self._many = array("q")  # how many nodes a start has
        self._nodes = array("q")
        self._quanta = array("q")

    def __len__(self) -> int:
        """Return how many events there are."""
        return self._num + len(self._fresh)

    def add(self, event: Event) -> None:
        """Append an event."""
        self._fresh.append(event)
        if len(self._fresh) == _BLOCK:
            self._settle()

    def events(self) -> Iterator[Event]:
        """Yield the events in order."""
        self._settle()
        first = 0
        for i, many in enumerate(self._many):
            last = first + many
            nodes = zip(self._nodes[first:last], self._quanta[first:last], strict=True)
            yield Event(
                time_s=self._time[i],
                kind=EventKind(self._kind[i]),
                job=self._job[i],
                node=self._node[i],
                nodes=tuple(nodes),
                part=self._part[i],
                kept_s=self._kept[i],
            )
            first = last

    def columns(self) -> dict[str, Numbers]:
        """Return the log as columns.

        `time_s, kind, job, node, part, kept_s, num_nodes` have shape (num_events,); `nodes` and
        `quanta` hold what the starts took, one start after the other, `num_nodes` each.
        """
        self._settle()
        return {
            "time_s": np.array(self._time),
            "kind": np.array(self._kind),
            "job": np.array(self._job),
            "node": np.array(self._node),
            "part": np.array(self._part),
            "kept_s": np.array(self._kept),
            "num_nodes": np.array(self._many),
            "nodes": np.array(self._nodes),
            "quanta": np.array(self._quanta),
        }

    def to_bytes(self) -> bytes:
        """Return the log as bytes."""
        return b"".join(column.tobytes() for column in self.columns().values())

    def digest(self) -> str:
        """Return the SHA-256 of the log."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _settle(self) -> None:
        """Put the fresh events into the columns."""
        if not self._fresh:
            return
        times, kinds, jobs, nodes, placed, parts, kept = zip(*self._fresh, strict=True)
        self._num += len(self._fresh)
        self._fresh.clear()
        self._time.extend(times)
        self._kind.extend(kinds)
        self._job.extend(jobs)
        self._node.extend(nodes)
        self._part.extend(parts)
        self._kept.extend(kept)
        self._many.extend(map(len, placed))
        flat = list(chain.from_iterable(placed))
        if flat:
            numbers, quanta = zip(*flat, strict=True)
            self._nodes.extend(numbers)
            self._quanta.extend(quanta)
