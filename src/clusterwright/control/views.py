"""The book as its readers get it: plain objects, times as RFC 3339, durations in seconds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from clusterwright import documents
from clusterwright.control import accounts
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry
from clusterwright.control.records import AttemptRecord, JobState, Record
from clusterwright.model.job import QUANTA
from clusterwright.sched import why as why_of

API_VERSION = documents.API_VERSION
Plain = dict[str, Any]  # JSON-able


@lru_cache(4096)  # in a list the same times come again and again
def rfc3339(time_s: float | None) -> str | None:
    """Return a time as text, in UTC with milliseconds."""
    if time_s is None:
        return None
    text = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Return a time in seconds since 1970.

    Raises
    ------
    ValueError
        If it is no RFC 3339 time with its offset.
    """
    moment = datetime.fromisoformat(text.replace(" ", "+"))  # a bare + of a URL is a space
    if moment.tzinfo is None:
        msg = "no offset"
        raise ValueError(msg)
    return moment.timestamp()


class Reasons:
    """Why jobs wait, for a reader of many: what holds for one holds for all of its shape."""

    def __init__(self, book: Book, now_s: float) -> None:
        """Look at a book as it stands."""
        self._book = book
        self._sched_s = book.sched_s(now_s)
        self._heads: dict[str, int | None] = {}
        self._known: dict[tuple[str, int], tuple[str, str]] = {}

    def of(self, record: Record) -> tuple[str, str]:
        """Return reason and message of a job that waits."""
        state, index = self._book.state, record.index
        line = state.line(index)
        if line.name not in self._heads:
            self._heads[line.name] = line.head(self._sched_s)
        if index == self._heads[line.name] or index in state.gates:
            return self._asked(index)
        key = (line.name, id(state.ask(index)))
        if key not in self._known:
            self._known[key] = self._asked(index)
        return self._known[key]

    def _asked(self, index: int) -> tuple[str, str]:
        blocked = why_of(self._book.state, index, self._sched_s)
        return str(blocked.reason), blocked.message


def job(
    book: Book,
    record: Record,
    now_s: float,
    *,
    whole: bool = False,
    reasons: Reasons | None = None,
) -> Plain:
    """Return a job; with `whole` also its specification and all of its attempts."""
    spec, current = record.spec, record.current
    shown: Plain = {
        "job_id": record.job_id,
        "name": spec.name,
        "project": spec.project,
        "queue": spec.queue,
        "owner": record.owner,
        "state": record.state.value,
        "reason": "",
        "message": record.message,
        "since": rfc3339(record.since_s),
        "submitted": rfc3339(record.submit_s),
        "started": rfc3339(_first_start(record)) if record.attempts else None,
        "ended": rfc3339(record.since_s) if record.state.is_final else None,
        "priority": spec.priority,
        "num_nodes": spec.num_nodes,
        "num_gpus": spec.devices_per_node_ratio * spec.num_nodes,
        "num_cpus": spec.num_cpus_per_node * spec.num_nodes,
        "num_attempts": len(record.attempts),
        "nodes": list(current.nodes) if current and current.released_s is None else [],
        "array": record.array or None,
        "array_task": record.task,
        "labels": dict(spec.labels),
    }
    if record.state.waits:
        reason, message = (reasons or Reasons(book, now_s)).of(record)
        shown["reason"] = reason
        shown["message"] = record.message or message
    if not whole:
        return shown
    shown["spec"] = documents.plain(spec)
    shown["step"] = record.step
    shown["tokens"] = record.tokens
    shown["samples"] = record.samples
    shown["progress"] = accounts.progress(accounts.of_job(book, record, now_s))
    shown["checkpoint"] = _checkpoint(record)
    shown["retries"] = record.retries
    shown["attempts"] = [attempt(one) for one in record.attempts]
    return shown


def attempt(one: AttemptRecord) -> Plain:
    """Return one start of a job."""
    return {
        "attempt": one.attempt.number,
        "nodes": list(one.nodes),
        "gpus": {share.node: list(share.gpus) for share in one.shares if share.gpus},
        "decided": rfc3339(one.decided_s),
        "started": rfc3339(one.started_s),
        "released": rfc3339(one.released_s),
        "ended": rfc3339(one.ended_s),
        "end": str(one.end) if one.end is not None else None,
        "message": one.message,
        "exit_codes": list(one.exit_codes),
        "resumed_from": one.resume_from or None,
        "cpu_s": one.cpu_s,
        "energy_j": one.energy_j,
    }


def why(book: Book, record: Record, now_s: float) -> Plain:
    """Return why a job is where it is: the one dominant reason and its evidence."""
    shown: Plain = {
        "job_id": record.job_id,
        "state": str(record.state),
        "since": rfc3339(record.since_s),
    }
    if record.state.waits:
        blocked = why_of(book.state, record.index, book.sched_s(now_s))
        shown |= {"reason": str(blocked.reason), "message": blocked.message}
        if record.state in (JobState.PREEMPTED, JobState.REQUEUED) and record.message:
            shown["before"] = record.message
    else:
        shown |= {"reason": "", "message": record.message}
    return shown


def node(book: Book, name: str) -> Plain:
    """Return a node with what is free on it and who runs there."""
    index = book.node_index[name]
    pool = book.state.pool_at[index]
    scale = QUANTA if not pool.by_core else 1
    size, free = pool.size_at(index) / scale, pool.free_at(index) / scale
    group = next(group for group in book.centre.nodes if name in group.names)
    state = "down" if name in book.down else "drained" if name in book.drained else "up"
    jobs = [book.order[job].job_id for job in book.state.on_node[index]]
    if state == "drained" and jobs:
        state = "draining"
    unit = "cpus" if pool.by_core else "gpus"
    return {
        "name": name,
        "state": state,
        "reason": book.down.get(name) or book.drained.get(name) or "",
        "gpu_model": group.gpu_model,
        "mig_profile": group.mig_profile,
        "num_gpus": group.num_gpus,
        "num_cpus": group.num_cpus,
        f"num_{unit}_used": size - free,
        "jobs": jobs,
    }


def queue(book: Book, name: str) -> Plain:
    """Return a queue: what it is owed and allowed, what it uses, and how many jobs wait in it."""
    quota = next(one for one in book.centre.queues if one.queue == name)
    account = book.state.accounts[name]
    scale = next(iter(book.state.pools.values())).scale if book.state.pools else 1
    records = [one for one in book.active.values() if one.spec.queue == name]
    return {
        "name": name,
        "parent": quota.parent or None,
        "guarantee": quota.guarantee_ratio,
        "deserved": quota.deserved_ratio,
        "limit": quota.limit_ratio,
        "weight": quota.weight_ratio,
        "used": account.used / scale,
        "num_waiting": sum(one.state.waits for one in records),
        "num_running": sum(not one.state.waits for one in records),
    }


def event(entry: Entry) -> Plain:
    """Return an entry of the journal as an event of the API."""
    shown: Plain = {
        "seq": entry.seq,
        "time": rfc3339(entry.time_s),
        "kind": entry.kind,
        "job_id": entry.job or None,
        "node": entry.node or None,
        "who": entry.who or None,
    }
    return shown | {"body": public(entry.body)}


def public(body: Mapping[str, Any]) -> Plain:
    """Return what of an entry's body may be shown: everything but digests of tokens."""
    return {key: value for key, value in body.items() if key not in ("hash", "key")}


def listed(kind: str, items: list[Plain], **status: Any) -> Plain:
    """Return a list document."""
    found: Plain = {"apiVersion": API_VERSION, "kind": kind, "items": items}
    return found | ({"status": status} if status else {})


def single(kind: str, name: str, spec: Plain) -> Plain:
    """Return a document of one thing."""
    return {"apiVersion": API_VERSION, "kind": kind, "name": name, "spec": spec}


def _first_start(record: Record) -> float | None:
    return next((one.started_s for one in record.attempts if one.started_s is not None), None)


def _checkpoint(record: Record) -> Plain | None:
    if record.checkpoint_step is None:
        return None
    return {
        "step": record.checkpoint_step,
        "path": record.checkpoint_path,
        "saved": rfc3339(record.checkpoint_s),
    }
