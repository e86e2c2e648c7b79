"""The book: everything that the journal comes to, entry by entry. Nothing else changes it.

It holds the scheduler's state and, beside it, what the scheduler does not care about: what jobs
are called, who owns them, which attempt runs where, what it said. The same entries make the same
book, whether they are read back or have just been written.
"""

from collections.abc import Mapping
from typing import Any

from clusterwright.control.devices import Devices
from clusterwright.control.entries import SCHEDULING, Entry
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.engines import Attempt
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.cluster import Cluster
from clusterwright.model.event import Event, EventKind
from clusterwright.sched import State, policy_of

Span = tuple[float, float | None]  # from when to when; no end while it lasts


_BY_ADMIN = {
    EventKind.HOLD: EventKind.HOLD_BY_ADMIN,
    EventKind.RELEASE: EventKind.RELEASE_BY_ADMIN,
}


class Book:
    """What the journal comes to."""

    def __init__(self) -> None:
        """Begin before the first entry."""
        self.seq = 0
        self.time_s = 0.0
        self.epoch_s = 0.0
        self.centre = Centre()
        self.state = State(Cluster(groups=()), [], policy_of("fifo"))
        self.devices = Devices(())
        self.jobs: dict[str, Record] = {}
        self.active: dict[str, Record] = {}  # jobs that are not through
        self.order: list[Record] = []  # by the scheduler's index
        self.node_names: tuple[str, ...] = ()
        self.node_index: dict[str, int] = {}
        self.down: dict[str, str] = {}
        self.groups: dict[str, Nodes] = {}
        self.there_spans: dict[str, list[Span]] = {}  # when each node was part of the centre
        self.down_spans: dict[str, list[Span]] = {}
        self.drained: dict[str, str] = {}
        self.drained_outside: set[str] = set()  # by others, through the engine
        self.live: dict[Attempt, Record] = {}  # attempts that have not ended
        self.tokens: dict[str, Mapping[str, Any]] = {}
        self.reach = ""
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}  # who and key: digest and job
        self.arrays: dict[str, list[str]] = {}
        self.next_id = 1

    def event(self, entry: Entry) -> Event:
        """Return the event of the scheduler that an entry is."""
        kind = SCHEDULING[entry.kind]
        body = entry.body
        if body.get("by") == "admin":
            kind = _BY_ADMIN.get(kind, kind)
        return Event(
            time_s=entry.time_s - self.epoch_s,
            kind=kind,
            job=self.jobs[entry.job].index if entry.job else -1,
            node=self.node_index[entry.node] if entry.node else -1,
            nodes=tuple((self.node_index[name], quanta) for name, quanta in body.get("nodes", ())),
            part=body.get("part", -1),
            kept_s=body.get("kept_s", 0.0),
        )

    def entry(self, event: Event) -> Entry:
        """Return the entry that a decision of the scheduler is written down as."""
        body: dict[str, Any] = {}
        job = self.order[event.job].job_id if event.job >= 0 else ""
        if event.kind is EventKind.START:
            record = self.jobs[job]
            body = {
                "attempt": len(record.attempts) + 1,
                "nodes": [[self.node_names[node], quanta] for node, quanta in event.nodes],
            }
            if event.part >= 0:
                body["part"] = event.part
        elif event.kind in (EventKind.PREEMPT, EventKind.INTERRUPT):
            body = {"kept_s": event.kept_s}
        node = self.node_names[event.node] if event.node >= 0 else ""
        return Entry(self.epoch_s + event.time_s, event.kind.name.lower(), job, node, body)

    def sched_s(self, time_s: float) -> float:
        """Return a time in seconds since 1970 as the scheduler counts it."""
        return time_s - self.epoch_s

    def leaving(self) -> list[str]:
        """Return the attempts that hold nothing any more but may still have tasks."""
        return [
            str(attempt)
            for attempt, record in self.live.items()
            for one in record.attempts
            if one.attempt == attempt and one.released_s is not None
        ]

    def group_of(self, node: str) -> Nodes:
        """Return what kind of node a node is, or was when it was last there."""
        return self.groups[node]

    def attempt(self, attempt: Attempt) -> AttemptRecord | None:
        """Return what is known of an attempt; None when nobody ever decided it."""
        record = self.jobs.get(attempt.job_id)
        if record is None or not 1 <= attempt.number <= len(record.attempts):
            return None
        return record.attempts[attempt.number - 1]
