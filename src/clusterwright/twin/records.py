"""What became of each job, folded from the log of events alone.

Nothing is counted while a run goes on: between two events of a job it either ran or waited, so
columns of differences hold all there is to say. The log of a live centre gives the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.model.event import EventKind
from clusterwright.model.job import Job
from clusterwright.twin.log import EventLog, Numbers

Column = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
_WAITS = (
    EventKind.SUBMIT,
    EventKind.HOLD,
    EventKind.RELEASE,
    EventKind.INTERRUPT,
    EventKind.PREEMPT,
    EventKind.HOLD_BY_ADMIN,
    EventKind.RELEASE_BY_ADMIN,
    EventKind.DEFER,
)
_RUNS = (EventKind.START, EventKind.RESIZE)
_STOPS = (EventKind.INTERRUPT, EventKind.PREEMPT, EventKind.RESIZE)
_OF_DATA = (EventKind.STAGED, EventKind.EVICTED)  # they name a job, but nothing happens to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one job."""

    submit_s: float
    """When it was submitted."""
    first_start_s: float
    """When it first started; nan if it never did."""
    end_s: float
    """When it was through; nan if it was not."""
    waited_s: float
    """Time in the queue before its starts, all times it waited together."""
    held_s: float
    """Time on its nodes, all attempts together."""
    lost_s: float
    """Time on its nodes that moved nothing forward for good: lost work, restarts, checkpoints."""
    num_interruptions: int
    """How often a lost node stopped it."""
    num_preemptions: int
    """How often it was stopped for another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Times in which jobs ran, or waited; all columns have shape (num_spans,)."""

    job: Whole
    """Index of the job."""
    start_s: Column
    """From when."""
    end_s: Column
    """Until when; the end of the run where nothing ended it."""
    quanta: Column
    """What it held; 1 for one that waited."""
    open_at_end: npt.NDArray[np.bool_]
    """Whether the run ended before the span did."""


class Records:
    """The records of all jobs of a run, in columns of shape (num_jobs,)."""

    def __init__(self, jobs: Sequence[Job], log: EventLog, end_s: float) -> None:
        """Fold a log up to the end of its run."""
        self._num = len(jobs)
        columns = log.columns()
        quanta = _quanta_of_starts(columns["quanta"], columns["num_nodes"])
        rows = np.flatnonzero((columns["job"] >= 0) & ~np.isin(columns["kind"], _OF_DATA))
        rows = rows[np.argsort(columns["job"][rows], kind="stable")]  # events job by job, in order
        job: Whole = columns["job"][rows].astype(np.int64)
        kind: Whole = columns["kind"][rows].astype(np.int64)
        time_s: Column = columns["time_s"][rows].astype(np.float64)
        kept_s: Column = columns["kept_s"][rows].astype(np.float64)
        last = np.append(job[1:] != job[:-1], True) if job.size else np.zeros(0, dtype=bool)
        until = np.where(last, end_s, np.append(time_s[1:], 0.0)) if job.size else time_s
        ran = np.isin(kind, _RUNS)
        waited = np.isin(kind, _WAITS)
        self.runs = _spans(job, time_s, until, quanta[rows], last, ran)
        self.waits = _spans(job, time_s, until, np.ones(job.size), last, waited)
        self._fill(jobs, job, kind, time_s, kept_s)

    def __len__(self) -> int:
        """Return how many jobs there are."""
        return self._num

    def __getitem__(self, index: int) -> Record:
        """Return the record of one job."""
        return Record(
            submit_s=float(self.submit_s[index]),
            first_start_s=float(self.first_start_s[index]),
            end_s=float(self.end_s[index]),
            waited_s=float(self.waited_s[index]),
            held_s=float(self.held_s[index]),
            lost_s=float(self.lost_s[index]),
            num_interruptions=int(self.num_interruptions[index]),
            num_preemptions=int(self.num_preemptions[index]),
        )

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in the order of the jobs."""
        return (self[index] for index in range(self._num))

    def _fill(
        self, jobs: Sequence[Job], job: Whole, kind: Whole, time_s: Column, kept_s: Column
    ) -> None:
        count = self._num
        self.submit_s = np.array([one.submit_s for one in jobs], dtype=np.float64)
        duration_s = np.array([one.duration_s for one in jobs], dtype=np.float64)
        self.end_s = np.full(count, np.nan)
        self.first_start_s = np.full(count, np.nan)
        done = kind == EventKind.FINISH
        self.end_s[job[done]] = time_s[done]
        starts = np.flatnonzero(kind == EventKind.START)[::-1]
        self.first_start_s[job[starts]] = time_s[starts]  # the first one is written last
        self.num_interruptions = np.bincount(job[kind == EventKind.INTERRUPT], minlength=count)
        self.num_preemptions = np.bincount(job[kind == EventKind.PREEMPT], minlength=count)
        runs, waits = self.runs, self.waits
        before = ~waits.open_at_end
        self.waited_s = _sum(waits.job[before], (waits.end_s - waits.start_s)[before], count)
        lasted = runs.end_s - runs.start_s
        self.held_s = _sum(runs.job, lasted, count)
        self.held_quanta_s = _sum(runs.job, lasted * runs.quanta, count)
        stops = np.isin(kind, _STOPS)
        kept = _sum(job[stops], kept_s[stops], count)
        useful = np.where(np.isnan(self.end_s), kept, duration_s)
        going = runs.open_at_end  # what runs at the end has lost nothing yet
        full = np.zeros(count)
        np.maximum.at(full, runs.job, runs.quanta)
        elastic = np.array([one.min_gpus_ratio is not None for one in jobs], dtype=bool)
        if elastic.any():  # its work is counted on all that it asks for, whatever it held
            full[elastic] = [one.quanta for one in jobs if one.min_gpus_ratio is not None]
        part = runs.quanta / np.maximum(full, 1.0)[runs.job]
        share = np.where(elastic[runs.job], part, 1.0)
        useful += _sum(runs.job[going], (lasted * share)[going], count)
        self.lost_quanta_s = np.maximum(self.held_quanta_s - useful * full, 0.0)
        whole_s = _sum(runs.job, lasted * share, count) if elastic.any() else self.held_s
        self.lost_s = np.maximum(np.where(elastic, whole_s, self.held_s) - useful, 0.0)


class Level:
    """Something that changes in steps over a run."""

    def __init__(self, times_s: Column, changes: Column, end_s: float) -> None:
        """Take the changes in any order; before the first one the level is zero."""
        order = np.argsort(times_s, kind="stable")
        self.times_s = times_s[order]
        self.values = np.cumsum(changes[order])
        self._end_s = end_s

    @classmethod
    def of(cls, spans: Spans, chosen: npt.NDArray[np.bool_], end_s: float) -> "Level":
        """Return how much some spans hold together over time."""
        times = np.concatenate([spans.start_s[chosen], spans.end_s[chosen]])
        changes = np.concatenate([spans.quanta[chosen], -spans.quanta[chosen]])
        return cls(times, changes, end_s)

    def per(self, step_s: float) -> Column:
        """Return the integral over each step of the run, shape (num_steps,), in units x s."""
        count = max(1, int(np.ceil(self._end_s / step_s)))
        edges = np.minimum(np.arange(count + 1) * step_s, self._end_s)
        keep = self.times_s < self._end_s
        times = np.concatenate([[0.0], self.times_s[keep], [self._end_s]])
        values = np.concatenate([[0.0], self.values[keep]])
        whole = np.concatenate([[0.0], np.cumsum(values * np.diff(times))])
        # The integral is piecewise linear in time, so it may be read off at the edges.
        return np.diff(np.interp(edges, times, whole))


def _quanta_of_starts(quanta: Numbers, num_nodes: Numbers) -> Column:
    """Return what each event took of its nodes together, shape (num_events,)."""
    upto = np.concatenate([[0], np.cumsum(quanta.astype(np.int64))])
    many = num_nodes.astype(np.int64)
    ends = np.cumsum(many)
    found: Column = (upto[ends] - upto[ends - many]).astype(np.float64)
    return found


def _spans(
    job: Whole,
    start_s: Column,
    end_s: Column,
    quanta: Column,
    last: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.bool_],
) -> Spans:
    return Spans(
        job=job[chosen],
        start_s=start_s[chosen],
        end_s=end_s[chosen],
        quanta=quanta[chosen],
        open_at_end=last[chosen],
    )


def _sum(job: Whole, values: Column, count: int) -> Column:
    found: Column = np.bincount(job, weights=values, minlength=count).astype(np.float64)
    return found
