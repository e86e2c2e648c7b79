"""What people may ask for, as entries: each order looks at the book first and changes nothing.

An order that cannot be carried out raises before anything is written, with all that is wrong.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clusterwright import documents
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry, Fact
from clusterwright.control.records import JobState, Record
from clusterwright.control.specs import completed, faults_of, scheduled, tasks_of
from clusterwright.errors import Conflict, Fault, InvalidInput, UnknownName
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.job import Job, Reason
from clusterwright.model.jobspec import JobSpec
from clusterwright.sched import checked, never, policy_of, quotas


def begin(centre: Centre, now_s: float) -> list[Entry]:
    """Return the entry that a centre begins with, or that changes it."""
    return [Entry(now_s, Fact.CENTRE, body={"centre": documents.plain(centre)})]


def change_centre(book: Book, centre: Centre, now_s: float, who: str = "") -> list[Entry]:
    """Change nodes, queues or policy while jobs wait and run; nothing when nothing differs.

    Raises
    ------
    InvalidInput
        If jobs wait in a queue, or run on nodes, that would be gone.
    """
    if isinstance(centre.policy, str):
        policy_of(centre.policy)
    else:
        checked(centre.policy)
        if centre.policy.resize != "none":
            message = f"{centre.policy.resize!r}: running jobs do not change their size here yet"
            fault = Fault(path="policy.resize", message=message, remedy="write none")
            raise InvalidInput([fault])
    if centre == book.centre and book.seq:
        return []
    if not centre.nodes:
        fault = Fault(path="nodes", message="are none", remedy="name at least one")
        raise InvalidInput([fault])
    quotas.check(centre.queues)
    queues = {one.queue for one in centre.queues} - {one.parent for one in centre.queues}
    nodes = {name: group for group in centre.nodes for name in group.names}
    before = {name: group for group in book.centre.nodes for name in group.names}
    faults = []
    for record in book.active.values():
        if record.spec.queue not in queues:
            message = f"job {record.job_id} is in queue {record.spec.queue!r}, which would be gone"
            faults.append(Fault(path="queues", message=message, remedy="let it end first"))
        held = record.current
        if held is None or held.released_s is not None:
            continue
        for share in held.shares:
            after, now = nodes.get(share.node), before[share.node]
            if after is None or _holds(after) != _holds(now):
                message = f"job {record.job_id} runs on {share.node}, which would not be the same"
                faults.append(Fault(path="nodes", message=message, remedy="drain it first"))
    if faults:
        raise InvalidInput(faults)
    return [entry._replace(who=who) for entry in begin(centre, now_s)]


def _holds(group: Nodes) -> tuple[int, str, int]:
    """Return what running jobs hold of a node; that may not change beneath them."""
    return (group.num_gpus, group.mig_profile, group.num_cpus)


def submit(book: Book, spec: JobSpec, now_s: float, who: str, *, key: str = "") -> list[Entry]:
    """Submit a job, or every task of an array; the first entry's job names it.

    With a `key` the same submission asked for again adds nothing: the entries are then empty, and
    `book.keys` has the job.

    Raises
    ------
    InvalidInput
        With everything about it that this centre cannot take.
    Conflict
        If the key came with another job before.
    """
    digest = _digest(documents.plain(spec)) if key else ""
    if key and _repeats(book, who, key, digest):
        return []
    spec = completed(spec)
    faults = list(faults_of(spec, book.centre))
    tasks = None
    try:
        tasks = None if spec.array is None else tasks_of(spec.array)
    except InvalidInput as error:
        faults += error.faults
    faults += [
        Fault(path="depends_on", message=f"there is no job {name!r}", remedy="name jobs by id")
        for name in spec.depends_on
        if name not in book.jobs and name not in book.arrays
    ]
    if faults:
        raise InvalidInput(faults)
    depends = tuple(task for name in spec.depends_on for task in book.arrays.get(name, (name,)))
    number = str(book.next_id)
    body: dict[str, object] = {"spec": documents.plain(replace(spec, array=None))}
    if depends:
        body["depends_on"] = list(depends)
    if key:
        body["key"] = [key, digest]
    if tasks is None:
        return [Entry(now_s, "submit", number, body=body, who=who)]
    entries = []
    for position, task in enumerate(tasks.numbers):
        more: dict[str, object] = {"array": number, "task": task}
        if position:
            more["like"] = f"{number}-{tasks.numbers[0]}"
        if tasks.at_once:
            more["at_once"] = tasks.at_once
        first = {} if position else body
        entries.append(Entry(now_s, "submit", f"{number}-{task}", body={**first, **more}, who=who))
    return entries


def cancel(book: Book, job: str, now_s: float, who: str, why: str = "") -> list[Entry]:
    """Take a job back, or every task of an array that is not through.

    Raises
    ------
    UnknownName
        If there is no such job.
    Conflict
        If it is through already.
    """
    message = f"cancelled by {who}" + (f": {why}" if why else "")
    body = {"cause": "cancelled", "message": message}
    return [
        Entry(now_s, "cancel", record.job_id, body=body, who=who)
        for record in _open(book, job, "cancelled")
    ]


def hold(book: Book, job: str, now_s: float, who: str, *, admin: bool = False) -> list[Entry]:
    """Hold a job that waits.

    Raises
    ------
    UnknownName
        If there is no such job.
    Conflict
        If it does not wait.
    """
    records = [one for one in _open(book, job, "held") if one.state.waits]
    if not records:
        msg = f"job {job} runs; hold a job that waits, or requeue this one on hold"
        raise Conflict(msg)
    body = {"by": "admin" if admin else "user"}
    return [Entry(now_s, "hold", one.job_id, body=body, who=who) for one in records]


def release(book: Book, job: str, now_s: float, who: str, *, admin: bool = False) -> list[Entry]:
    """Let a held job go on waiting.

    Raises
    ------
    UnknownName
        If there is no such job.
    Conflict
        If it is not held, or an operator holds it.
    """
    entries = []
    for record in _open(book, job, "released"):
        gate = book.state.gates.get(record.index)
        if gate is Reason.HELD_BY_ADMIN and not admin:
            msg = f"job {record.job_id} is held by an operator; ask one to release it"
            raise Conflict(msg)
        if gate in (Reason.HELD_BY_ADMIN, Reason.HELD_BY_USER):
            body = {"by": "admin"} if admin else {}
            entries.append(Entry(now_s, "release", record.job_id, body=body, who=who))
    if not entries:
        msg = f"job {job} is not held"
        raise Conflict(msg)
    return entries


def requeue(book: Book, job: str, now_s: float, who: str, kept_s: float = 0.0) -> list[Entry]:
    """Stop a running job, with its warning, and queue it again.

    Raises
    ------
    UnknownName
        If there is no such job.
    Conflict
        If it does not run.
    """
    running = [one for one in _open(book, job, "requeued") if one.index in book.state.running]
    if not running:
        msg = f"job {job} does not run, so it cannot be queued again"
        raise Conflict(msg)
    body = {"cause": "requeue", "kept_s": kept_s, "message": f"sent back by {who}"}
    return [Entry(now_s, "interrupt", one.job_id, body=body, who=who) for one in running]


def renew(book: Book, job: str, now_s: float, who: str) -> list[Entry]:
    """Let the lease of a running session begin anew.

    Raises
    ------
    UnknownName
        If there is no such job.
    Conflict
        If it is through, does not run, or has no lease.
    """
    entries = [
        Entry(now_s, Fact.RENEW, one.job_id, body={"attempt": len(one.attempts)}, who=who)
        for one in _open(book, job, "renewed")
        if one.spec.lease_s is not None and one.index in book.state.running
    ]
    if not entries:
        msg = f"job {job} is no running session with a lease, so it cannot be renewed"
        raise Conflict(msg)
    return entries


def alter(book: Book, job: str, priority: int, now_s: float, who: str) -> list[Entry]:
    """Change the priority of a job that is not through.

    Raises
    ------
    UnknownName
        If there is no such job.
    Conflict
        If it is through.
    """
    body = {"priority": priority}
    return [
        Entry(now_s, Fact.ALTER, one.job_id, body=body, who=who)
        for one in _open(book, job, "changed")
    ]


def drain(book: Book, node: str, now_s: float, who: str, why: str) -> list[Entry]:
    """Let no new work on a node; what runs there goes on.

    Raises
    ------
    UnknownName
        If there is no such node.
    Conflict
        If it is drained already.
    """
    _known(book, node)
    if node in book.drained:
        msg = f"node {node} is drained already: {book.drained[node]}"
        raise Conflict(msg)
    return [Entry(now_s, "drain", node=node, body={"reason": why or f"by {who}"}, who=who)]


def undrain(book: Book, node: str, now_s: float, who: str) -> list[Entry]:
    """Let work on a node again.

    Raises
    ------
    UnknownName
        If there is no such node.
    Conflict
        If it is not drained.
    """
    _known(book, node)
    if node not in book.drained:
        msg = f"node {node} is not drained"
        raise Conflict(msg)
    if node in book.drained_outside:
        why = book.drained[node]
        msg = f"node {node} was not drained here, but by its {book.centre.engine} engine: {why}"
        raise Conflict(msg)
    return [Entry(now_s, "undrain", node=node, who=who)]


def found(book: Book, job: str) -> list[Record]:
    """Return a job, or the tasks of an array.

    Raises
    ------
    UnknownName
        If there is no such job.
    """
    if job in book.jobs:
        return [book.jobs[job]]
    tasks = book.arrays.get(job)
    if tasks is None:
        raise UnknownName.of("job", job, list(book.jobs)[-1000:])
    return [book.jobs[task] for task in tasks]


def trial(book: Book, spec: JobSpec, now_s: float, who: str) -> tuple[Job, Sequence[str]]:
    """Return a job as it would be scheduled, and why it could never start; nothing when it can.

    Of an array it is the first task.

    Raises
    ------
    InvalidInput
        If it would not be taken.
    """
    entries = submit(book, spec, now_s, who)
    job = scheduled(
        completed(spec),
        entries[0].job,
        book.centre,
        submit_s=now_s,
        epoch_s=book.epoch_s,
        user=who,
    )
    why = never(book.state, job)
    return job, () if why is None else (f"{why[0]}: it {why[1]}",)


def _repeats(book: Book, who: str, key: str, digest: str) -> bool:
    known = book.keys.get((who, key))
    if known is not None and known[0] != digest:
        msg = f"idempotency key {key!r} came with another job before; take a new one"
        raise Conflict(msg)
    return known is not None


def _digest(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _open(book: Book, job: str, done: str) -> list[Record]:
    records = found(book, job)
    left = [record for record in records if not record.state.is_final]
    if not left:
        state = records[0].state if len(records) == 1 else JobState.COMPLETED
        msg = f"job {job} is {state} already, so it cannot be {done}"
        raise Conflict(msg)
    return left


def _known(book: Book, node: str) -> None:
    if node not in book.node_index:
        raise UnknownName.of("node", node, book.node_names)
