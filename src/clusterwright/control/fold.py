"""What each entry of the journal does to the book.

Scheduling events go to the scheduler's state and to the records of their jobs; facts go to the
records alone. Nothing here looks at a clock, a disk or the engine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import get_args

from clusterwright import documents
from clusterwright.control.book import Book, Span
from clusterwright.control.devices import Devices
from clusterwright.control.entries import SCHEDULING, Entry, Fact
from clusterwright.control.records import AttemptRecord, JobState, Record
from clusterwright.control.specs import kinds_for, scheduled
from clusterwright.engines import Attempt, End, Share
from clusterwright.model.centre import Centre
from clusterwright.model.event import Event, EventKind
from clusterwright.model.job import Reason
from clusterwright.model.jobspec import JobSpec, RetryCause
from clusterwright.model.policy import Policy
from clusterwright.sched import State, checked, policy_of
from clusterwright.sched.nodes import Pool


def book_of(entries: Iterable[Entry]) -> Book:
    """Return the book that entries come to."""
    book = Book()
    for entry in entries:
        apply(book, entry)
    return book


def apply(book: Book, entry: Entry, *, decided: bool = False) -> None:
    """Take note of an entry.

    With `decided` it is a decision of the cycle, which the scheduler's state has seen already.
    """
    if not book.seq:
        book.epoch_s = entry.time_s
    book.seq = entry.seq or book.seq + 1
    book.time_s = max(book.time_s, entry.time_s)
    kind = SCHEDULING.get(entry.kind)
    if kind is None:
        _FACTS[entry.kind](book, entry)
        return
    if kind is EventKind.SUBMIT:
        _add(book, entry)
    elif kind in _OF_NODES:
        _note_node(book, kind, entry)
    if not decided:
        book.state.apply(book.event(entry))
    if entry.job:
        record = book.jobs[entry.job]
        record.seq = book.seq
        _OF_JOBS[kind](book, entry, record)


def policy_in(centre: Centre) -> Policy:
    """Return the policy that a centre states or names."""
    policy = centre.policy
    return checked(policy if isinstance(policy, Policy) else policy_of(policy))


def accelerators_in(centre: Centre) -> list[int]:
    """Return how many accelerators each node of a centre has."""
    return [group.num_gpus for group in centre.nodes for _ in range(group.num_nodes)]


# What entries about jobs do, beside what the scheduler's state makes of them.


def _add(book: Book, entry: Entry) -> None:
    body = entry.body
    if "like" in body:
        spec = book.jobs[body["like"]].spec
    else:
        spec = documents.read_part(body["spec"], JobSpec, people=False)
    if body.get("depends_on"):
        spec = replace(spec, depends_on=tuple(body["depends_on"]))
    job = scheduled(
        spec,
        entry.job,
        book.centre,
        submit_s=entry.time_s,
        epoch_s=book.epoch_s,
        user=entry.who,
    )
    if body.get("at_once"):
        job = replace(job, array=body["array"], array_at_once=body["at_once"])
    record = Record(
        job_id=entry.job,
        index=book.state.expect(job),
        spec=spec,
        owner=entry.who,
        submit_s=entry.time_s,
        state=JobState.PENDING,
        since_s=entry.time_s,
        seq=book.seq,
        array=body.get("array", ""),
        task=body.get("task"),
        key=tuple(body["key"]) if "key" in body else None,
    )
    if record.key is not None:
        key, digest = record.key
        book.keys[entry.who, key] = (digest, record.array or record.job_id)
    if record.array:
        book.arrays.setdefault(record.array, []).append(record.job_id)
    book.jobs[entry.job] = record
    book.active[entry.job] = record
    book.order.append(record)
    number = entry.job.partition("-")[0]
    book.next_id = max(book.next_id, int(number) + 1)


def _submitted(book: Book, entry: Entry, record: Record) -> None:
    gate = book.state.gates.get(record.index)
    held = gate in (Reason.HELD_BY_USER, Reason.HELD_BY_ADMIN)
    _become(record, JobState.HELD if held else JobState.PENDING, entry)


def _started(book: Book, entry: Entry, record: Record) -> None:
    attempt = Attempt(record.job_id, entry.body["attempt"])
    leaving = book.leaving()
    shares = []
    one_node = record.spec
    for name, quanta in entry.body["nodes"]:
        node = book.node_index[name]
        gpus: tuple[int, ...] = ()
        fraction = 1.0
        part = entry.body.get("part", -1)
        if book.state.pool_at[node].by_core:
            cpus = quanta
        else:
            cpus = one_node.num_cpus_per_node
            scale = book.state.pool_at[node].scale
            gpus = book.devices.take(
                str(attempt), node, quanta // scale, part=part, leaving=leaving
            )
            fraction = quanta / scale if part >= 0 else 1.0
        shares.append(
            Share(
                node=name,
                gpus=gpus,
                gpu_fraction=fraction,
                num_cpus=cpus,
                memory_bytes=one_node.memory_per_node_bytes or 0.0,
            )
        )
    record.attempts.append(
        AttemptRecord(
            attempt=attempt,
            shares=tuple(shares),
            decided_s=entry.time_s,
            nodes=tuple(share.node for share in shares),
        )
    )
    book.live[attempt] = record
    record.report_offset = 0
    _become(record, JobState.STARTING, entry)


def _stopped(book: Book, entry: Entry, record: Record) -> None:
    """Note that a job lost its nodes but is queued again."""
    cause = entry.body.get("cause", "preempt")
    _release(book, record, entry.time_s, cause)
    if cause in get_args(RetryCause):
        record.retries += 1
    state = JobState.PREEMPTED if cause == "preempt" else JobState.REQUEUED
    _become(record, state, entry)


def _closed(book: Book, entry: Entry, record: Record) -> None:
    """Note that a job is gone for good."""
    cause = entry.body.get("cause", _CAUSES[SCHEDULING[entry.kind]])
    _release(book, record, entry.time_s, cause)
    book.active.pop(record.job_id, None)
    _become(record, _STATES[cause], entry)


def _held(book: Book, entry: Entry, record: Record) -> None:
    del book  # the scheduler's state has been told
    _become(record, JobState.HELD, entry)


def _let_go(book: Book, entry: Entry, record: Record) -> None:
    del book  # the scheduler's state has been told
    if record.state is JobState.HELD:
        _become(record, JobState.PENDING, entry)


def _release(book: Book, record: Record, time_s: float, cause: str) -> None:
    current = record.current
    if current is None or current.released_s is not None:
        return
    current.released_s = time_s
    current.stop = current.stop or cause
    for share in current.shares:
        book.devices.give(str(current.attempt), book.node_index[share.node])


# What entries about anything else do.


def _note_node(book: Book, kind: EventKind, entry: Entry) -> None:
    names = book.down if kind in (EventKind.NODE_FAIL, EventKind.NODE_REPAIR) else book.drained
    if kind in (EventKind.NODE_FAIL, EventKind.DRAIN):
        names[entry.node] = entry.body.get("reason", "")
    else:
        names.pop(entry.node, None)
    if kind is EventKind.NODE_FAIL:
        book.down_spans.setdefault(entry.node, []).append((entry.time_s, None))
    elif kind is EventKind.NODE_REPAIR:
        _end_span(book.down_spans, entry.node, entry.time_s)
    if kind is EventKind.DRAIN and entry.body.get("by") == "engine":
        book.drained_outside.add(entry.node)
    elif kind is EventKind.UNDRAIN:
        book.drained_outside.discard(entry.node)


def _note_centre(book: Book, entry: Entry) -> None:
    """Take a new centre: what waits and runs goes on in it, where its nodes are still there."""
    book.centre = documents.read_part(entry.body["centre"], Centre, people=False)
    before, jobs = book.state, list(book.state.jobs)
    for record in book.active.values():
        kinds = kinds_for(record.spec, book.centre)
        if kinds != jobs[record.index].gpu_models:  # accelerators were cut, or made whole again
            jobs[record.index] = replace(jobs[record.index], gpu_models=kinds)
            record.seq = book.seq
    book.state = State(book.centre.cluster, jobs, policy_in(book.centre), pooled=True)
    book.state.done = before.done
    now = {name: group for group in book.centre.nodes for name in group.names}
    for name in set(book.node_names) - set(now):
        _end_span(book.there_spans, name, entry.time_s)
        if name in book.down:
            _end_span(book.down_spans, name, entry.time_s)
    for name in now.keys() - set(book.node_names):
        book.there_spans.setdefault(name, []).append((entry.time_s, None))
    book.groups.update(now)
    book.node_names = book.centre.node_names
    book.node_index = {name: number for number, name in enumerate(book.node_names)}
    book.devices = Devices(accelerators_in(book.centre))
    book.down = {name: why for name, why in book.down.items() if name in book.node_index}
    book.drained = {name: why for name, why in book.drained.items() if name in book.node_index}
    _carry_over(book, before, entry.time_s - book.epoch_s)


def _end_span(spans: dict[str, list[Span]], name: str, time_s: float) -> None:
    begun_s, _ = spans[name].pop()
    spans[name].append((begun_s, time_s))


def _carry_over(book: Book, before: State, now_s: float) -> None:
    # What runs goes first: it keeps its place within the bound of its array.
    for record in sorted(book.active.values(), key=lambda one: one.index not in before.running):
        index = record.index
        if index in before.remaining:
            book.state.remaining[index] = before.remaining[index]
        book.state.apply(Event(now_s, EventKind.SUBMIT, index))
        if record.state is JobState.HELD:
            admin = before.gates.get(index) is Reason.HELD_BY_ADMIN
            kind = EventKind.HOLD_BY_ADMIN if admin else EventKind.HOLD
            book.state.apply(Event(now_s, kind, index))
        elif book.state.gates.get(index) is Reason.HELD_BY_USER:  # as submitted; let go since
            book.state.apply(Event(now_s, EventKind.RELEASE, index))
        run = before.running.get(index)
        if run is None:
            continue
        current = record.current
        assert current is not None
        if index in book.state.gates:  # it began before its gate was looked at again
            book.state.apply(Event(now_s, EventKind.RELEASE, index))
        nodes = tuple(
            (book.node_index[share.node], quanta)
            for share, (_, quanta) in zip(current.shares, run.placed, strict=True)
        )
        event = Event(run.since_s, EventKind.START, index, -1, nodes, run.part)
        book.state.apply(event)
        _hand_over(book, current, nodes, run.part)
    _carry_shares(book.state, before, now_s)
    # Only now: what runs on a drained node goes on there.
    for names, kind in ((book.down, EventKind.NODE_FAIL), (book.drained, EventKind.DRAIN)):
        for name in names:
            book.state.apply(Event(now_s, kind, node=book.node_index[name]))


def _carry_shares(after: State, before: State, now_s: float) -> None:
    """Let users and queues keep what they have been charged in fair sharing, as it counts now."""
    half_life_s = before.policy.half_life_s
    counts = 2.0 ** -((now_s - before.epoch_s) / half_life_s) if half_life_s else 1.0
    after.epoch_s = now_s
    for name, line in after.lines.items():
        old = before.lines.get(name)
        if old is not None:  # charges are in seconds of all nodes, of which there may be others
            size = counts * _size(old.pool) / (_size(line.pool) or 1)
            line.used = {user: used * size for user, used in old.used.items()}
    largest = max(map(_size, after.pools.values()), default=0) or 1
    size = counts * max(map(_size, before.pools.values()), default=0) / largest
    for name, account in after.accounts.items():
        if name in before.accounts:
            once = before.accounts[name]
            account.charged = once.charged * once.weight / account.weight * size


def _size(pool: Pool) -> int:
    return pool.total_units * pool.scale


def _hand_over(
    book: Book, current: AttemptRecord, nodes: tuple[tuple[int, int], ...], part: int
) -> None:
    """Let a running attempt hold its accelerators in the new centre; they keep their indices."""
    for share, (node, quanta) in zip(current.shares, nodes, strict=True):
        if share.gpus:
            scale = book.state.pool_at[node].scale
            book.devices.hold(
                str(current.attempt), node, share.gpus, part=part if quanta < scale else -1
            )


def _note_launch(book: Book, entry: Entry) -> None:
    _, one = _found(book, entry)
    one.asked_s = entry.time_s
    one.resume_from = entry.body.get("resume_from", "")


def _note_running(book: Book, entry: Entry) -> None:
    record, one = _found(book, entry)
    one.started_s = entry.body["started_s"]
    if entry.body.get("nodes"):
        one.nodes = tuple(entry.body["nodes"])
    if record.state is JobState.STARTING and one is record.current:
        _become(record, JobState.RUNNING, entry)


def _note_ended(book: Book, entry: Entry) -> None:
    record, one = _found(book, entry)
    body = entry.body
    one.end = End(body["end"])
    one.ended_s = body.get("ended_s", entry.time_s)
    one.started_s = body.get("started_s", one.started_s)
    one.message = body.get("message", "")
    one.exit_codes = tuple(body.get("exit_codes", ()))
    one.cpu_s = body.get("cpu_s", 0.0)
    one.energy_j = body.get("energy_j")
    through = one.end is End.COMPLETED or one.stop == "completed"  # or its lease had passed
    if not through and one.started_s is not None:
        saved_s = record.checkpoint_s or 0.0
        one.lost_s = max(0.0, one.ended_s - max(saved_s, one.started_s))
    book.live.pop(one.attempt, None)


def _note_checkpoint(book: Book, entry: Entry) -> None:
    record, _ = _found(book, entry)
    record.checkpoint_step = entry.body["step"]
    record.checkpoint_path = entry.body["path"]
    record.checkpoint_s = entry.body.get("saved_s", entry.time_s)


def _note_progress(book: Book, entry: Entry) -> None:
    record, one = _found(book, entry)
    record.step = entry.body.get("step", record.step)
    for counts in (record, one):
        counts.tokens += entry.body.get("tokens", 0.0)
        counts.samples += entry.body.get("samples", 0.0)
    one.work_flop += entry.body.get("flop", 0.0)
    record.report_offset = entry.body.get("offset", record.report_offset)


def _note_renewed(book: Book, entry: Entry) -> None:
    _, one = _found(book, entry)
    one.renewed_s = entry.time_s


def _note_health(book: Book, entry: Entry) -> None:
    if not entry.job:
        return
    record, one = _found(book, entry)
    if "ranks" in entry.body:
        one.stragglers = tuple(entry.body["ranks"])
        if one.silent_since_s is not None:  # what is worse stays said
            return
    else:
        one.silent_since_s = entry.body.get("since_s")
    if one is record.current:
        record.message = entry.body["message"]


def _note_change(book: Book, entry: Entry) -> None:
    record, priority = book.jobs[entry.job], int(entry.body["priority"])
    record.seq = book.seq
    record.spec = replace(record.spec, priority=priority)
    jobs = book.state.jobs
    assert isinstance(jobs, list)
    index = record.index
    line = book.state.line(index)
    if index in line.entries:
        now_s = book.state.since[index]  # it goes on waiting since then
        book.state.apply(Event(now_s, EventKind.HOLD, index))
        jobs[index] = replace(jobs[index], priority=priority)
        book.state.apply(Event(now_s, EventKind.RELEASE, index))
    else:
        jobs[index] = replace(jobs[index], priority=priority)


def _note_token(book: Book, entry: Entry) -> None:
    book.tokens[entry.body["id"]] = entry.body


def _note_revoked(book: Book, entry: Entry) -> None:
    book.tokens.pop(entry.body["id"], None)


def _note_reach(book: Book, entry: Entry) -> None:
    book.reach = "" if entry.body["reach"] else entry.body["message"]


def _note_nothing(book: Book, entry: Entry) -> None:
    """Leave the book as it is: the entry is for readers."""
    del book, entry


def _found(book: Book, entry: Entry) -> tuple[Record, AttemptRecord]:
    record = book.jobs[entry.job]
    record.seq = book.seq
    return record, record.attempts[entry.body["attempt"] - 1]


def _become(record: Record, state: JobState, entry: Entry) -> None:
    record.state = state
    record.since_s = entry.time_s
    record.message = entry.body.get("message", "")


_OF_NODES = {EventKind.NODE_FAIL, EventKind.NODE_REPAIR, EventKind.DRAIN, EventKind.UNDRAIN}
_CAUSES = {
    EventKind.FINISH: "completed",
    EventKind.TIMEOUT: "timeout",
    EventKind.CANCEL: "cancelled",
}
_STATES = {
    "completed": JobState.COMPLETED,
    "timeout": JobState.TIMEOUT,
    "cancelled": JobState.CANCELLED,
    "failed": JobState.FAILED,
    "node_fail": JobState.NODE_FAIL,
}
_OF_JOBS: Mapping[EventKind, Callable[[Book, Entry, Record], None]] = {
    EventKind.SUBMIT: _submitted,
    EventKind.START: _started,
    EventKind.PREEMPT: _stopped,
    EventKind.INTERRUPT: _stopped,
    EventKind.FINISH: _closed,
    EventKind.TIMEOUT: _closed,
    EventKind.CANCEL: _closed,
    EventKind.HOLD: _held,
    EventKind.RELEASE: _let_go,
}
_FACTS: Mapping[str, Callable[[Book, Entry], None]] = {
    Fact.CENTRE: _note_centre,
    Fact.LAUNCH: _note_launch,
    Fact.RUNNING: _note_running,
    Fact.ENDED: _note_ended,
    Fact.CHECKPOINT: _note_checkpoint,
    Fact.PROGRESS: _note_progress,
    Fact.ALTER: _note_change,
    Fact.TOKEN: _note_token,
    Fact.REVOKE: _note_revoked,
    Fact.ENGINE: _note_reach,
    Fact.CLOCK: _note_nothing,
    Fact.HEALTH: _note_health,
    Fact.RENEW: _note_renewed,
}
