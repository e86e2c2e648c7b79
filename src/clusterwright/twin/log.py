"""All events of a run in columns, and as bytes that are the same for the same run."""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from clusterwright.model.event import Event, EventKind

Numbers = npt.NDArray[Any]  # Any: whole numbers of several widths, and times
_BLOCK = 4096  # events that are put into the columns together

COLUMNS = {
    "time_s": "when, from the start of the run",
    "kind": "what: a number, whose name is `kind_name[kind]`",
    "job": "which job, a place in the columns `job_…`; -1 when none is meant",
    "node": "which node, a place in the columns `node_…`; -1 when no single one is meant",
    "part": "on a start on a share of an accelerator, which one of the node; else -1",
    "kept_s": "on a stop or a change of size, work done since the start that is not lost",
    "num_nodes": "on a start or a change of size, how many nodes it takes; else 0",
    "nodes": "the nodes of all starts, one start after the other, `num_nodes` each",
    "quanta": "what each of those starts takes of each of those nodes: 7,000 are an accelerator, "
    "or cores on a node without",
}
"""Columns of a log and what they say."""

Columns = Mapping[str, npt.NDArray[Any]]


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

    @classmethod
    def from_columns(cls, columns: Columns) -> Self:
        """Return the log of columns as `columns` gives them.

        Raises
        ------
        ValueError
            If a column is missing, or the columns do not belong together.
        """
        log = cls()
        arrays = log._arrays()
        for name, column in arrays.items():
            if name not in columns:
                msg = f"no column {name!r}"
                raise ValueError(msg)
            column.frombytes(np.ascontiguousarray(columns[name], dtype=column.typecode).tobytes())
        placed = {"nodes": sum(arrays["num_nodes"]), "quanta": sum(arrays["num_nodes"])}
        for name, column in arrays.items():
            wanted = placed.get(name, len(arrays["time_s"]))
            if len(column) != wanted:
                msg = f"column {name!r} has {len(column):,} rows instead of {wanted:,}"
                raise ValueError(msg)
        log._num = len(arrays["time_s"])
        return log

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
        """Return the log as `COLUMNS`, all but `nodes` and `quanta` of shape (num_events,)."""
        self._settle()
        return {name: np.array(column) for name, column in self._arrays().items()}

    def to_bytes(self) -> bytes:
        """Return the log as bytes."""
        return b"".join(column.tobytes() for column in self.columns().values())

    def digest(self) -> str:
        """Return the SHA-256 of the log."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _arrays(self) -> "dict[str, array[Any]]":
        """Return the columns as they grow, by their names."""
        return {
            "time_s": self._time,
            "kind": self._kind,
            "job": self._job,
            "node": self._node,
            "part": self._part,
            "kept_s": self._kept,
            "num_nodes": self._many,
            "nodes": self._nodes,
            "quanta": self._quanta,
        }

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
        flat = chain.from_iterable(chain.from_iterable(placed))
        pairs = np.fromiter(flat, dtype=np.int64).reshape(-1, 2)
        self._nodes.frombytes(np.ascontiguousarray(pairs[:, 0]).tobytes())
        self._quanta.frombytes(np.ascontiguousarray(pairs[:, 1]).tobytes())
