"""What running jobs leave on disk, as entries: complete checkpoints, and what they report."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clusterwright.control.book import Book
from clusterwright.control.carry import Places
from clusterwright.control.entries import Entry, Fact
from clusterwright.control.paces import Paces
from clusterwright.engines import Attempt, checkpoints, reports


def saved(book: Book, places: Places, attempts: Iterable[Attempt], now_s: float) -> list[Entry]:
    """Return newer checkpoints of attempts than the book knows."""
    found = []
    for attempt in attempts:
        record = book.jobs[attempt.job_id]
        newest = checkpoints.newest(places.checkpoints(record))
        known = record.checkpoint_step
        if newest is None or (known is not None and newest.step <= known):
            continue
        try:
            saved_s = (newest.path / checkpoints.MARKER).stat().st_mtime
        except FileNotFoundError:  # the job has dropped it since
            continue
        body = {
            "attempt": attempt.number,
            "step": newest.step,
            "path": str(newest.path),
            "saved_s": min(saved_s, now_s),
        }
        found.append(Entry(now_s, Fact.CHECKPOINT, record.job_id, body=body))
    return found


def reported(book: Book, paths: Mapping[Attempt, Path], now_s: float, paces: Paces) -> list[Entry]:
    """Return what attempts have reported since the book last looked, and note their paces."""
    found = []
    for attempt, path in paths.items():
        record = book.jobs[attempt.job_id]
        if record.current is None or record.current.attempt != attempt:
            continue
        news = reports.read(path, record.report_offset)
        if news.offset == record.report_offset:
            continue
        paces.note(attempt, len(record.current.shares) * record.spec.num_tasks_per_node, news.lines)
        body = {"attempt": attempt.number, "offset": news.offset, **_sums(news.lines)}
        if news.num_torn:
            body["torn"] = news.num_torn
        found.append(Entry(now_s, Fact.PROGRESS, record.job_id, body=body))
    return found


def _sums(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last step, and what was done in all lines; figures that are none count nothing."""
    found: dict[str, Any] = {}
    for line in lines:
        step = line.get("step")
        if isinstance(step, int) and not isinstance(step, bool):
            found["step"] = step
        for name in ("tokens", "samples", "flop"):
            value = line.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                found[name] = found.get(name, 0.0) + value
    return found
