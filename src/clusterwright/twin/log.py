"""All events of a run in columns, and as bytes that are the same for the same run."""

import hashlib
from array import array
from collections.abc import Iterator

from clusterwright.model.event import Event, EventKind


class EventLog:
    """Events in the order in which they happened."""

    def __init__(self) -> None:
        """Begin empty."""
        self._time = array("d")
        self._kind = array("b")
        self._job = array("q")
        self._node = array("q")
        self._first = array("q")  # where the nodes of a start begin
        self._nodes = array("q")
        self._quanta = array("q")

    def __len__(self) -> int:
        """Return how many events there are."""
        return len(self._time)

    def add(self, event: Event) -> None:
        """Append an event."""
        self._time.append(event.time_s)
        self._kind.append(int(event.kind))
        self._job.append(event.job)
        self._node.append(event.node)
        self._first.append(len(self._nodes))
        for node, quanta in event.nodes:
            self._nodes.append(node)
            self._quanta.append(quanta)

    def events(self) -> Iterator[Event]:
        """Yield the events in order."""
        ends = [*self._first[1:], len(self._nodes)]
        for i, end in enumerate(ends[: len(self)]):
            first = self._first[i]
            nodes = zip(self._nodes[first:end], self._quanta[first:end], strict=True)
            yield Event(
                time_s=self._time[i],
                kind=EventKind(self._kind[i]),
                job=self._job[i],
                node=self._node[i],
                nodes=tuple(nodes),
            )

    def to_bytes(self) -> bytes:
        """Return the log as bytes."""
        columns = (self._time, self._kind, self._job, self._node, self._first)
        return b"".join(one.tobytes() for one in (*columns, self._nodes, self._quanta))

    def digest(self) -> str:
        """Return the SHA-256 of the log."""
        return hashlib.sha256(self.to_bytes()).hexdigest()
