"""Snapshots of the book, so that a restart reads back what came after one, not the whole journal.

A snapshot holds what the entries up to its own come to, and nothing else: what the scheduler merely
remembers from its last look is left out, as reading the entries back would not have it either. Jobs
are kept in rows of their own, and only those that have changed since the last snapshot are written.
It counts only for the very code that made it; whatever is wrong with it, the entries are there.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from clusterwright import __version__, documents
from clusterwright.control import fold
from clusterwright.control.book import Book
from clusterwright.control.devices import Devices
from clusterwright.control.journal import Journal
from clusterwright.control.records import Record
from clusterwright.engines import Attempt
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.job import Job
from clusterwright.sched import Picture, picture, restored

_log = logging.getLogger(__name__)
_ROOMS = ("control", "documents", "engines", "model", "sched", "units")  # what makes a book


class Row(NamedTuple):
    """One job in a snapshot."""

    job: str
    """Its id."""
    body: str
    """What the scheduler and the centre know of it: two lines of JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A book, or how it differs from an earlier one, as text."""

    seq: int
    """Number of the last entry in it."""
    time_s: float
    """When that was."""
    form: str
    """The code that made it."""
    body: str
    """All but the jobs, as JSON."""
    rows: Iterable[Row]
    """The jobs: all of them, or those that have changed."""


@cache
def form() -> str:
    """Return a digest of the code that makes books; of a snapshot by other code nothing is used."""
    home = Path(fold.__file__).parents[1]
    digest = hashlib.blake2b(__version__.encode(), digest_size=16)
    for room in _ROOMS:
        for path in sorted((home / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def take(book: Book, since: int = 0) -> Snapshot:
    """Return a snapshot of a book at the end of a turn.

    Parameters
    ----------
    book
        What the journal comes to.
    since
        Only jobs that an entry after this one is about; 0 for all.
    """
    return Snapshot(
        seq=book.seq,
        time_s=book.time_s,
        form=form(),
        body=json.dumps(_plain(book), separators=(",", ":")),
        rows=[_row(book, record) for record in book.order if record.seq > since],
    )


def restore(snapshot: Snapshot) -> Book:
    """Return the book of a whole snapshot; the next cycle looks at everything once.

    Raises
    ------
    ValueError
        If a job is missing; other errors where the snapshot makes no sense in other ways.
    """
    body = json.loads(snapshot.body)
    book = Book()
    book.seq, book.time_s, book.epoch_s = snapshot.seq, snapshot.time_s, body["epoch_s"]
    jobs = _restore_jobs(book, snapshot.rows)
    if len(jobs) != body["num_jobs"]:
        msg = f"{len(jobs):,} jobs are there of {body['num_jobs']:,}"
        raise ValueError(msg)
    _restore_nodes(book, body)
    for job_id, number in body["live"]:
        book.live[Attempt(job_id, number)] = book.jobs[job_id]
    book.tokens = {one["id"]: one for one in body["tokens"]}
    book.reach = body["reach"]
    book.next_id = body["next_id"]
    seen = documents.read_part(body["state"], Picture, people=False)
    done = tuple(one.job_id for one in book.order if one.state.value == "COMPLETED")
    policy = fold.policy_in(book.centre)
    state = restored(book.centre.cluster, jobs, policy, replace(seen, done=done), pooled=True)
    state.freed += state.gates
    state.touched.update(dict.fromkeys(state.pools))
    book.state = state
    return book


def book_of(journal: Journal) -> Book:
    """Return the book that a journal comes to, from its snapshot on where it has one that counts.

    Raises
    ------
    JournalBroken
        If an entry that is read is torn, altered or missing.
    """
    book = newest(journal) or Book()
    for entry in journal.entries(book.seq):
        fold.apply(book, entry)
    return book


def newest(journal: Journal) -> Book | None:
    """Return the book of a journal's snapshot; None where there is none that counts."""
    kept = journal.kept(form())
    if kept is not None:
        seq, time_s, body, rows = kept
        jobs = map(Row._make, rows)
        try:
            return restore(Snapshot(seq=seq, time_s=time_s, form=form(), body=body, rows=jobs))
        except Exception:  # whatever is wrong with it, the entries are there
            _log.exception("the snapshot of entry %d is not used", seq)
    journal.kept_seq = 0
    return None


def keep(journal: Journal, book: Book) -> None:
    """Write a snapshot of a book into its journal: of the jobs, those that have changed since.

    Parameters
    ----------
    journal
        Where to.
    book
        What the journal comes to, at the end of a turn.

    Raises
    ------
    JournalUnwritable
        If it cannot be written.
    Conflict
        If another process has opened the journal since.
    """
    since = journal.kept_seq
    taken = take(book, since)
    journal.keep(taken.seq, taken.time_s, taken.form, taken.body, taken.rows, anew=not since)


def differing(one: Book, other: Book) -> str:
    """Return the first thing that two books say differently, in a few words; empty for nothing."""
    mine, theirs = take(one), take(other)
    for row, its in zip(mine.rows, theirs.rows, strict=False):
        if row != its:
            return f"job {row.job}"
    this, that = json.loads(mine.body), json.loads(theirs.body)
    names = [*_parts(this), *_parts(that)]
    return next((name for name in names if _part(this, name) != _part(that, name)), "")


def _parts(body: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in body if name != "state")
    yield from (f"state.{name}" for name in body["state"])


def _part(body: Mapping[str, Any], name: str) -> Any:
    if name.startswith("state."):
        return body["state"].get(name.removeprefix("state."))
    return body.get(name)


def _plain(book: Book) -> dict[str, Any]:
    seen = replace(
        picture(book.state, book.sched_s(book.time_s)),
        done=(),  # the jobs say so
        promises=(),
        power_promises=(),
        owed=(),
        broken=(),
        freed=(),
        touched=(),
        wakes=(),
    )
    groups: dict[int, tuple[Nodes, list[str]]] = {}
    for name, group in book.groups.items():
        groups.setdefault(id(group), (group, []))[1].append(name)
    return {
        "epoch_s": book.epoch_s,
        "num_jobs": len(book.order),
        "centre": documents.plain(book.centre),
        "state": documents.plain(seen),
        "devices": book.devices.plain({str(attempt) for attempt in book.live}),
        "groups": [[documents.plain(group), names] for group, names in groups.values()],
        "there_spans": book.there_spans,
        "down": book.down,
        "down_spans": book.down_spans,
        "drained": book.drained,
        "drained_outside": sorted(book.drained_outside),
        "live": [[attempt.job_id, attempt.number] for attempt in book.live],
        "tokens": list(book.tokens.values()),
        "reach": book.reach,
        "next_id": book.next_id,
    }


def _row(book: Book, record: Record) -> Row:
    nouns = (book.state.jobs[record.index], record)
    texts = (json.dumps(documents.plain(noun), separators=(",", ":")) for noun in nouns)
    return Row(record.job_id, "\n".join(texts))


def _restore_jobs(book: Book, rows: Iterable[Row]) -> list[Job]:
    found: list[tuple[Record, Job]] = []
    for row in rows:
        job, known = row.body.split("\n")
        found.append((documents.read_plain(known, Record), documents.read_plain(job, Job)))
    found.sort(key=lambda pair: pair[0].index)
    book.order = [record for record, _ in found]
    if any(one.index + 1 != other.index for one, other in pairwise(book.order)):
        msg = "a job is missing"
        raise ValueError(msg)
    for record in book.order:
        book.jobs[record.job_id] = record
        if not record.state.is_final:
            book.active[record.job_id] = record
        if record.array:
            book.arrays.setdefault(record.array, []).append(record.job_id)
        if record.key is not None:
            key, digest = record.key
            book.keys[record.owner, key] = (digest, record.array or record.job_id)
    return [job for _, job in found]


def _restore_nodes(book: Book, body: Mapping[str, Any]) -> None:
    book.centre = documents.read_part(body["centre"], Centre, people=False)
    book.node_names = book.centre.node_names
    book.node_index = {name: number for number, name in enumerate(book.node_names)}
    book.devices = Devices.of(fold.accelerators_in(book.centre), body["devices"])
    for plain, names in body["groups"]:
        group = documents.read_part(plain, Nodes, people=False)
        book.groups.update(dict.fromkeys(names, group))
    for mine, name in ((book.there_spans, "there_spans"), (book.down_spans, "down_spans")):
        for node, spans in body[name].items():
            mine[node] = [(begun_s, ended_s) for begun_s, ended_s in spans]
    book.down, book.drained = body["down"], body["drained"]
    book.drained_outside = set(body["drained_outside"])
