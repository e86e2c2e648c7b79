"""Signs of life, as entries: jobs that report and have fallen silent, sessions nobody uses.

A job that never reports is left alone: nothing tells whether it is well. Silence counts only while
somebody listened, so that neither a server that was away nor a machine that slept condemns a job.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from clusterwright import units
from clusterwright.control import observe
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry, Fact
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.engines import AttemptSeen, Phase
from clusterwright.units import Seconds

HANG = "hang"
"""What a job is found to do that reports and has fallen silent."""
ALIVE = "alive"
"""What it is found to be when it reports again."""


def silences(
    book: Book, seen: Iterable[AttemptSeen], listened_s: float, now_s: float
) -> list[Entry]:
    """Return what silence and its end make of running jobs.

    Each silence is told once; a job that is to be tried again after one is stopped for that.

    Parameters
    ----------
    book
        What is known.
    seen
        The attempts as the engine sees them.
    listened_s
        Since when the reports have been looked at without a gap, in seconds since 1970.
    now_s
        Time of the entries, likewise.
    """
    found: list[Entry] = []
    for one in seen:
        known = book.attempt(one.attempt)
        if known is None or known.released_s is not None or one.beat_s is None:
            continue
        if one.phase is not Phase.RUNNING:
            continue
        record = book.jobs[one.attempt.job_id]
        silent_s = now_s - max(one.beat_s, listened_s)
        if silent_s > book.centre.heartbeat_s:
            if known.silent_since_s is None:
                found += _hangs(record, known, one.beat_s, now_s)
        elif known.silent_since_s is not None and one.beat_s > known.silent_since_s:
            body = {"attempt": known.attempt.number, "what": ALIVE, "message": ""}
            found.append(Entry(now_s, Fact.HEALTH, record.job_id, body=body))
    return found


def unused(
    book: Book,
    seen: Iterable[AttemptSeen],
    files_of: Callable[[Record, AttemptRecord], Iterable[Path]],
    now_s: float,
) -> list[Entry]:
    """Return the end of sessions whose lease has passed without activity.

    Activity is their start, a renewal, and whatever they write into their logs or report. All of
    that is in the journal or on disk, so that a server that starts again counts on.

    Parameters
    ----------
    book
        What is known.
    seen
        The attempts as the engine sees them.
    files_of
        Gives the files that an attempt writes into while it is used.
    now_s
        Time of the entries, in seconds since 1970.
    """
    found: list[Entry] = []
    for one in seen:
        record = book.jobs.get(one.attempt.job_id)
        if record is None or record.spec.lease_s is None or one.phase is not Phase.RUNNING:
            continue
        known = book.attempt(one.attempt)
        if known is None or known.released_s is not None or known.started_s is None:
            continue
        times_s = [known.started_s, known.renewed_s or 0.0]
        times_s += [_written_s(path) for path in files_of(record, known)]
        if now_s - max(times_s) > record.spec.lease_s:
            lease = units.format(record.spec.lease_s, Seconds)
            body = {"cause": "completed", "message": f"its lease of {lease} passed unused"}
            found.append(Entry(now_s, "finish", record.job_id, body=body))
    return found


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # nothing was written yet, or it cannot be seen from here
        return 0.0


def _hangs(record: Record, known: AttemptRecord, beat_s: float, now_s: float) -> Iterable[Entry]:
    message = f"no report for {units.format(now_s - beat_s, Seconds)}; it may hang"
    body = {
        "attempt": known.attempt.number,
        "what": HANG,
        "message": message,
        "since_s": min(beat_s, now_s),
    }
    yield Entry(now_s, Fact.HEALTH, record.job_id, body=body)
    if HANG in record.spec.retry.on:
        yield observe.tried_again(record, HANG, message, now_s)
