"""What the engine sees, as entries: only what the book does not know yet.

The order matters: jobs stop before the nodes under them are said to be lost, and a node is said to
be back only once nothing of its former life is left on it.
"""

from collections.abc import Iterable
from typing import Any

from clusterwright.control.book import Book
from clusterwright.control.entries import SCHEDULING, Entry, Fact
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.engines import OURS, Attempt, AttemptSeen, End, NodeSeen, Observation, Phase

OVER = (Phase.ENDED, Phase.LOST)
"""Phases from which on an attempt does no more work."""

_RETRIED = {End.FAILED: "failed", End.TIMEOUT: "timeout", End.NODE_FAIL: "node_fail"}


def facts(book: Book, seen: Observation, now_s: float) -> list[Entry]:
    """Return what an observation adds to the book, in the order in which it is to be applied.

    Parameters
    ----------
    book
        What is known.
    seen
        What the engine sees.
    now_s
        Time of the entries, in seconds since 1970.
    """
    found: list[Entry] = []
    lost_nodes = {node.name for node in seen.nodes if not node.up} - set(book.down)
    handled: set[str] = set()
    for one in seen.attempts:
        known = book.attempt(one.attempt)
        if known is None or known.is_over:
            continue
        record = book.jobs[one.attempt.job_id]
        news = _of_attempt(record, known, one, now_s)
        found += news
        if any(entry.kind in SCHEDULING for entry in news):
            handled.add(record.job_id)
    found += _on_lost_nodes(book, lost_nodes, handled, now_s)
    foreign = {share.node for share in seen.foreign}
    for node in seen.nodes:
        if node.name in book.node_index:
            found += _of_node(book, node, now_s, foreign=node.name in foreign)
    return found


def fenced(book: Book, attempt: Attempt, now_s: float) -> list[Entry]:
    """Return the end of an attempt of which nothing is left, unless it is known."""
    known = book.attempt(attempt)
    if known is None or known.is_over:
        return []
    end = End.NODE_FAIL if known.stop == "node_fail" else End.STOPPED
    body = {"attempt": attempt.number, "end": str(end), "message": "proved gone"}
    return [Entry(now_s, Fact.ENDED, attempt.job_id, body=body)]


def never_started(book: Book, attempt: Attempt, why: str, now_s: float) -> list[Entry]:
    """Return the end of an attempt that can never start, and of its job."""
    known = book.attempt(attempt)
    if known is None or known.is_over:
        return []
    body = {"attempt": attempt.number, "end": str(End.NOT_STARTED), "message": why}
    found = [Entry(now_s, Fact.ENDED, attempt.job_id, body=body)]
    if known.released_s is None:
        record = book.jobs[attempt.job_id]
        found.append(_close(record, End.NOT_STARTED, why, now_s))
    return found


def kept_s(record: Record, now_s: float) -> float:
    """Return the work of a running job that its newest complete checkpoint holds."""
    current = record.current
    if current is None or current.started_s is None or record.checkpoint_s is None:
        return 0.0
    return max(0.0, min(record.checkpoint_s, now_s) - current.started_s)


def tried_again(record: Record, cause: str, message: str, now_s: float) -> Entry:
    """Return what stops a running job and queues it again; its failure once that was too often."""
    if record.retries < record.spec.retry.max:
        return _again(record, cause, message, now_s)
    body = {"cause": "failed", "message": _worn(record, message)}
    return Entry(now_s, "cancel", record.job_id, body=body)


def _of_attempt(
    record: Record, known: AttemptRecord, seen: AttemptSeen, now_s: float
) -> list[Entry]:
    found: list[Entry] = []
    number = {"attempt": seen.attempt.number}
    if seen.started_s is not None and known.started_s is None:
        body: dict[str, Any] = {**number, "started_s": seen.started_s}
        if seen.nodes and seen.nodes != known.nodes:
            body["nodes"] = list(seen.nodes)
        found.append(Entry(now_s, Fact.RUNNING, record.job_id, body=body))
    if seen.phase is Phase.ENDED and seen.end is not None:
        found.append(Entry(now_s, Fact.ENDED, record.job_id, body={**number, **_ended(seen)}))
        if known.released_s is None:
            found.append(_close(record, seen.end, seen.message, now_s))
    elif seen.phase is Phase.LOST and known.released_s is None:
        lost = ", ".join(seen.lost_nodes) or "a node"
        found.append(_close(record, End.NODE_FAIL, seen.message or f"lost {lost}", now_s))
    return found


def _ended(seen: AttemptSeen) -> dict[str, Any]:
    body: dict[str, Any] = {"end": str(seen.end)}
    for name in ("message", "started_s", "ended_s", "cpu_s", "peak_memory_bytes", "energy_j"):
        value = getattr(seen, name)
        if value not in (None, ""):
            body[name] = value
    if seen.exit_codes:
        body["exit_codes"] = list(seen.exit_codes)
    return body


def _close(record: Record, end: End, message: str, now_s: float) -> Entry:
    """Return what an end that nobody here asked for makes of a job: through, again, or given up."""
    job = record.job_id
    if end is End.COMPLETED:
        return Entry(now_s, "finish", job, body={"cause": "completed"})
    cause = _RETRIED.get(end)
    if cause is not None and cause in record.spec.retry.on:
        if record.retries < record.spec.retry.max:
            return _again(record, cause, message, now_s)
        message = _worn(record, message)
    if end is End.TIMEOUT:
        return Entry(now_s, "timeout", job, body={"cause": "timeout", "message": message})
    if end is End.STOPPED:
        message = message or "stopped from outside"
        return Entry(now_s, "cancel", job, body={"cause": "cancelled", "message": message})
    body = {"cause": cause or "failed", "message": message}
    return Entry(now_s, "cancel", job, body=body)


def _again(record: Record, cause: str, message: str, now_s: float) -> Entry:
    body = {"cause": cause, "kept_s": kept_s(record, now_s), "message": message}
    return Entry(now_s, "interrupt", record.job_id, body=body)


def _worn(record: Record, message: str) -> str:
    return f"{message} (queued again {record.retries} times before)".strip()


def _on_lost_nodes(book: Book, lost: set[str], handled: set[str], now_s: float) -> Iterable[Entry]:
    """Yield the end of every job that holds a node which is gone, whatever its tasks look like."""
    if not lost:
        return
    for record in {record.job_id: record for record in book.live.values()}.values():
        current = record.current
        if current is None or current.released_s is not None or record.job_id in handled:
            continue
        gone = sorted(lost.intersection(share.node for share in current.shares))
        if gone:
            yield _close(record, End.NODE_FAIL, f"lost {', '.join(gone)}", now_s)


def _of_node(book: Book, node: NodeSeen, now_s: float, *, foreign: bool) -> Iterable[Entry]:
    name = node.name
    if not node.up and name not in book.down:
        body = {"reason": node.reason or "does not answer"}
        yield Entry(now_s, "node_fail", node=name, body=body)
    if node.up and name in book.down and not _haunted(book, name):
        yield Entry(now_s, "node_repair", node=name)
    # What others run there is not ours to count: the whole node is left to them meanwhile.
    by_others = foreign or (node.drained and not node.reason.startswith(OURS))
    reason = "others run on it" if foreign else node.reason
    retold = name in book.drained_outside and book.drained[name] != reason
    if by_others and (name not in book.drained or retold):
        body = {"reason": reason, "by": "engine"}
        yield Entry(now_s, "drain", node=name, body=body)
    if not by_others and name in book.drained_outside:
        yield Entry(now_s, "undrain", node=name, body={"by": "engine"})


def _haunted(book: Book, node: str) -> bool:
    """Return whether an attempt that lost a node is not proved gone from it yet."""
    return any(
        one.stop == "node_fail" and any(share.node == node for share in one.shares)
        for attempt, record in book.live.items()
        for one in (record.attempts[attempt.number - 1],)
    )
