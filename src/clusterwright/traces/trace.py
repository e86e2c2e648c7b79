"""What every reader returns: the jobs of a log, and what became of each of its other rows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple

from clusterwright.errors import Fault
from clusterwright.model.job import Job
from clusterwright.units import Seconds


class Cause(Enum):
    """Why a row was dropped or repaired; the value is the reason in words."""

    NO_ID = "it has no identifier"
    TWICE = "its identifier stands in the file already"
    MALFORMED = "it does not have the form of a row"
    BAD_TIME = "a time in it is no time"
    BAD_SIZE = "its number of accelerators or cores is no number"
    NO_SIZE = "it asks for neither accelerators nor cores"
    UNKNOWN_SIZE = "what it asks for cannot be counted in accelerators or cores"
    BAD_VALUE = "another value in it cannot be read"
    UNKNOWN_DURATION = "how long it ran is not in the log"
    NEVER_STARTED = "it never started, or had not when the log was taken"
    STILL_RUNNING = "it ran when the log was taken; its duration is not known yet"
    ONLY_EVENTS = "the log has events of it, but not the object itself"
    NEGATIVE_WAIT = "it started before it was submitted; its start is taken for both"
    END_BEFORE_START = "it ended before it started; the elapsed time that was counted is taken"
    RUN_AGAIN = "it ran more than once; its last run is the job, submitted when the first was"
    ID_REUSED = "another job had its identifier; it is renamed"
    DELIMITER_IN_TEXT = "a text in it holds the delimiter; the cells were put back together"
    SIZE_AS_REQUESTED = "what it was granted is not in the log; what it asked for is taken"
    UNKNOWN_ESTIMATE = "its time limit cannot be read; it is left without one"
    CORES_ROUNDED = "it asks for part of a core; whole cores are taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The jobs of a trace, and what became of its other rows.

    Every row is accounted for: rows are jobs, dropped rows and rows that are no job of their own.
    """

    jobs: tuple[Job, ...]
    """Jobs in the order of the file, or of their submission where the file keeps another."""
    dropped: tuple[Fault, ...]
    """Rows that could not be used, each with its place and its reason."""
    num_rows: int
    """Rows or objects of the file."""
    repaired: tuple[Fault, ...] = ()
    """Jobs that are used although something in their rows was mended, each with what was done."""
    num_dropped_by_cause: Mapping[str, int] = field(default_factory=dict)
    """Dropped rows by the name of their cause."""
    num_repaired_by_cause: Mapping[str, int] = field(default_factory=dict)
    """Repairs by the name of their cause; one job may have several."""
    num_not_jobs: Mapping[str, int] = field(default_factory=dict)
    """Rows that are no job of their own, such as steps or pods of a gang, by what they are."""
    start_unix_s: Seconds | None = None
    """The moment that is 0 of the submissions; absent where the file does not say."""
    form: str = "tidy"
    """Format that it was read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a log is to be read, where the file leaves it open."""

    queue: str = "all"
    """Queue of jobs whose row names none."""
    queue_from: str = ""
    """What of the row is the queue; empty for the format's own choice."""
    processors: Literal["cores", "accelerators"] = "cores"
    """What the processors of a format without accelerators are."""
    timezone: str = "UTC"
    """Zone of times that name none."""


class Place(NamedTuple):
    """Where a row stands."""

    line: int | None = None
    """Line of a text; absent where there are none."""
    path: str = ""
    """Field, or the object's identifier."""


_NOWHERE = Place()


class Ledger:
    """What became of the rows, written while a file is read."""

    def __init__(self, file: str) -> None:
        """Begin for a file, called as its reader called it."""
        self._file = file
        self._dropped: list[tuple[Cause, str, Place]] = []
        self._repaired: list[tuple[Cause, str, Place]] = []
        self._not_jobs: Counter[str] = Counter()

    def drop(self, cause: Cause, message: str, at: Place = _NOWHERE) -> None:
        """Note that a row is not used."""
        self._dropped.append((cause, message, at))

    def repair(self, cause: Cause, message: str, at: Place = _NOWHERE) -> None:
        """Note that something of a row is mended; it counts if the row becomes a job."""
        self._repaired.append((cause, message, at))

    def no_job(self, what: str, count: int = 1) -> None:
        """Note rows that are no job of their own."""
        if count:
            self._not_jobs[what] += count

    def close(self, jobs: Iterable[Job], *, start_unix_s: float | None = None) -> Trace:
        """Return the trace."""
        kept = tuple(jobs)
        unused = {_row(at) for _, _, at in self._dropped}
        repaired = [one for one in self._repaired if _row(one[2]) not in unused]
        return Trace(
            jobs=kept,
            dropped=self._faults(self._dropped),
            num_rows=len(kept) + len(self._dropped) + self._not_jobs.total(),
            repaired=self._faults(repaired),
            num_dropped_by_cause=_counted(self._dropped),
            num_repaired_by_cause=_counted(repaired),
            num_not_jobs=dict(self._not_jobs),
            start_unix_s=start_unix_s,
        )

    def _faults(self, noted: Iterable[tuple[Cause, str, Place]]) -> tuple[Fault, ...]:
        return tuple(
            Fault(file=self._file, line=at.line, path=at.path, message=message)
            for _, message, at in noted
        )


def _row(at: Place) -> int | str:
    return at.path if at.line is None else at.line


def _counted(noted: Iterable[tuple[Cause, str, Place]]) -> dict[str, int]:
    counts = Counter(cause for cause, _, _ in noted)
    return {cause.name: count for cause, count in counts.most_common()}
