"""Are starts foretold well? Forecasts at many moments of a replay, held against what then happened.

At each moment only what had happened by then is known: run times of jobs that had ended, how long
the others had run, who waited and who had come. Three ways to tell a start stand side by side:

the twin            from its own samples (`twin.forecast`)
the twin, mended    each level moved by how far that level was off lately: the logarithm of the true
                    delay over the one foretold, at the quantile of the level, over the forecasts of
                    the last `_WINDOW_S`. Jobs that still wait count with what is known of them, by
                    the estimator of Kaplan and Meier ("Nonparametric Estimation from Incomplete
                    Observations", JASA 53, 1958)
waits of the queue  what jobs of the queue waited in the same time, of those that waited as long
"""

import copy
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clusterwright import learn, sched, twin
from clusterwright.learn import History, Outlook, Past
from clusterwright.model.cluster import Cluster
from clusterwright.model.event import EventKind
from clusterwright.model.job import Job
from clusterwright.sched import Picture, State
from clusterwright.twin import Expected, Luck, Outcome, Setting, StartForecast
from clusterwright.units import SECONDS_PER_DAY, Fraction, Seconds

Column = npt.NDArray[np.float64]
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels at which starts are foretold."""
_P50, _P90 = LEVELS.index(0.5), LEVELS.index(0.9)
_WINDOW_S = 14 * SECONDS_PER_DAY
_RECENT_S = 7 * SECONDS_PER_DAY  # days from which arrivals are drawn
_LEAST_S = 60.0  # below a minute nobody cares how far a forecast was off
_ENOUGH = 3  # moments with an outcome before a forecast is mended


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsRow:
    """How well one way to tell starts did."""

    name: str
    """The way."""
    num_forecasts: int
    """Waiting jobs, at all moments together."""
    num_moments: int
    """Moments at which jobs waited."""
    started_by_p50_fraction: Fraction
    """Share that had started by P50; half is right."""
    started_by_p90_fraction: Fraction
    """Share that had started by P90; nine tenths are right."""
    pinball_p50_s: Seconds
    """Mean pinball loss of P50: half of the mean absolute error."""
    pinball_p90_s: Seconds
    """Mean pinball loss of P90."""
    avg_width_s: Seconds
    """Mean time from P10 to P90."""
    started_by_level_fraction: tuple[Fraction, ...]
    """Share that had started by each of P10, P20 to P90."""


@dataclass(slots=True)
class _Moment:
    """What was foretold at one moment: rows of jobs, columns of levels."""

    at_s: float
    jobs: list[str]
    true_s: Column
    """When each started next; infinity for never."""
    told: dict[str, Column] = field(default_factory=dict)


def starts(
    cluster: Cluster,
    jobs: Sequence[Job],
    setting: Setting,
    past: Sequence[Past],
    *,
    from_s: Seconds,
    every_s: Seconds,
    luck: Luck,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[StartsRow, ...]:
    """Replay jobs, foretell the starts of all that wait at many moments, and return how it went.

    Parameters
    ----------
    cluster
        The nodes.
    jobs
        The jobs of the replay.
    setting
        Policy and sharing.
    past
        Jobs of the time before, with their ends.
    from_s
        The first moment.
    every_s
        Time between moments; the last one is at the last submission.
    luck
        How many futures, and from what.
    told
        Told of each moment.
    """
    until_s = max(job.submit_s for job in jobs)
    times = np.arange(from_s, until_s, every_s).tolist()
    seen: list[Picture] = []

    def look(state: State, now_s: float) -> None:
        if state.num_waiting():
            seen.append(sched.picture(state, now_s))

    outcome = twin.run(cluster, jobs, setting, looks_s=times, look=look)
    known = Known(outcome, past)
    mended = _Mended()
    moments = []
    for number, one in enumerate(seen, 1):
        told(f"moment {number} of {len(seen)}, {len(one.waiting):,} jobs wait")
        known.learn_up_to(one)
        expected = known.expected(one)
        recent = known.recent(one.at_s)
        found = twin.forecast(one, cluster, expected, setting, recent=recent, luck=luck)
        if not found:
            continue
        names = [start.job for start in found]
        moment = _Moment(at_s=one.at_s, jobs=names, true_s=known.next_starts_s(names, one.at_s))
        moment.told["the twin"] = _levels(found)
        moment.told["the twin, mended"] = mended.told(moment)
        moment.told["waits of the queue"] = known.waited(moment)
        moments.append(moment)
    if not moments:
        return ()
    return tuple(_row(name, moments) for name in moments[0].told)


def _levels(found: Sequence[StartForecast]) -> Column:
    return np.array([[one.quantile_s(level) for level in LEVELS] for one in found])


class Known:
    """What is known at a moment of a replay; moments come in order."""

    def __init__(self, outcome: Outcome, past: Sequence[Past] = ()) -> None:
        """Take a replay, and jobs of the time before with their ends."""
        self._jobs = outcome.jobs
        self._number = {job.job_id: number for number, job in enumerate(outcome.jobs)}
        self._submit_s = [job.submit_s for job in outcome.jobs]
        ends_s = outcome.records.end_s.tolist()
        self._starts_s: list[list[float]] = [[] for _ in outcome.jobs]  # of each job, in order
        for event in outcome.log.events():
            if event.kind is EventKind.START:
                self._starts_s[event.job].append(event.time_s)
        here = [Past(job=job, end_s=end_s) for job, end_s in zip(self._jobs, ends_s, strict=True)]
        self._ends = learn.ended([*past, *here], math.inf)
        self._history = History()
        self._num_ended = 0
        self._now = History()
        self._at_s = 0.0
        self._outlooks: dict[tuple[object, ...], Outlook] = {}

    def learn_up_to(self, seen: Picture) -> None:
        """Learn what had ended by a picture, and how long its jobs had run."""
        self._at_s = seen.at_s
        while self._num_ended < len(self._ends):
            one = self._ends[self._num_ended]
            if one.end_s > seen.at_s:
                break
            self._history.learn(one.job, one.end_s)
            self._num_ended += 1
        running = [(self._job(one.job), max(1.0, seen.at_s - one.since_s)) for one in seen.running]
        self._now = copy.deepcopy(self._history)
        self._now.learn_running(running, seen.at_s)
        self._outlooks.clear()

    def expected(self, seen: Picture) -> list[Expected]:
        """Return the jobs of a picture with what is expected of them, in their order."""
        names = [one.job for one in seen.running]
        names += [one.job for one in seen.waiting]
        return [self._expected(self._jobs[n]) for n in sorted(map(self._number.__getitem__, names))]

    def recent(self, at_s: float) -> list[Expected]:
        """Return the jobs of the last days."""
        first, last = np.searchsorted(self._submit_s, [at_s - _RECENT_S, at_s], side="right")
        return [self._expected(job) for job in self._jobs[first:last]]

    def next_starts_s(self, names: Iterable[str], at_s: Seconds) -> Column:
        """Return when jobs that wait at a time start next; one that was stopped starts again."""
        found = []
        for name in names:
            starts_s = self._starts_s[self._number[name]]
            after = bisect_left(starts_s, at_s)
            found.append(starts_s[after] if after < len(starts_s) else math.inf)
        return np.array(found)

    def waited(self, moment: _Moment) -> Column:
        """Return the starts that past waits of each queue would foretell."""
        waits: dict[str, list[float]] = {}
        for job, starts_s in zip(self._jobs, self._starts_s, strict=True):
            start_s = starts_s[0] if starts_s else math.inf
            if moment.at_s - _WINDOW_S < start_s <= moment.at_s:
                waits.setdefault(job.queue, []).append(start_s - job.submit_s)
        rows = []
        for name in moment.jobs:
            job = self._job(name)
            so_far_s = moment.at_s - job.submit_s
            longer = [one for one in waits.get(job.queue, ()) if one > so_far_s]
            # A wait longer than all before it is expected to last as long again.
            rows.append(job.submit_s + np.quantile(longer or [2 * so_far_s], LEVELS))
        return np.array(rows)

    def _job(self, name: str) -> Job:
        return self._jobs[self._number[name]]

    def _expected(self, job: Job) -> Expected:
        hour = int(job.submit_s // 3600)
        alike = (job.queue, job.user, job.num_gpus_ratio, job.num_cpus, hour)
        found = self._outlooks.get(alike)
        if found is None:
            found = self._outlooks[alike] = self._now.outlook(job, self._at_s)
        return Expected(job=job, outlook=found)


class _Mended:
    """Levels moved by how far they were off lately."""

    def __init__(self) -> None:
        self._moments: list[_Moment] = []

    def told(self, moment: _Moment) -> Column:
        """Return the starts of a moment, mended by those before it, and remember it."""
        raw = moment.told["the twin"]
        self._moments = [one for one in self._moments if one.at_s > moment.at_s - _WINDOW_S]
        found = raw.copy()
        if len(self._moments) >= _ENOUGH:
            for column, level in enumerate(LEVELS):
                off = self._off(moment.at_s, column, level)
                if off is not None:
                    delay_s = raw[:, column] - moment.at_s + _LEAST_S
                    found[:, column] = moment.at_s + delay_s * math.exp(off) - _LEAST_S
            # Levels are mended one by one, so they are put in order again.
            found = np.maximum.accumulate(np.maximum(found, moment.at_s), axis=1)
        self._moments.append(moment)
        return found

    def _off(self, now_s: float, column: int, level: float) -> float | None:
        """Return the quantile of the errors of a level, as a logarithm."""
        errors, seen, weights = [], [], []
        for one in self._moments:
            told = one.told["the twin"][:, column] - one.at_s + _LEAST_S
            known = one.true_s <= now_s
            true = np.minimum(one.true_s, now_s) - one.at_s + _LEAST_S
            usable = np.isfinite(told)
            errors.append(np.log(true[usable] / told[usable]))
            seen.append(known[usable])
            weights.append(np.full(int(usable.sum()), 1.0 / len(one.jobs)))
        return censored_quantile(
            np.concatenate(errors), np.concatenate(seen), np.concatenate(weights), level
        )


def censored_quantile(
    values: Column, known: npt.NDArray[np.bool_], weights: Column, level: Fraction
) -> float | None:
    """Return the quantile of values of which some are only known to be larger than what they are.

    Parameters
    ----------
    values
        Values, or what they are larger than, shape (num_values,).
    known
        Which are values, shape (num_values,).
    weights
        What each counts, shape (num_values,).
    level
        Which quantile.

    Returns
    -------
    float
        The least value with at least that chance at or below it, by Kaplan and Meier; where the
        values that are known do not reach so far, the largest of them. None without any.

    Examples
    --------
    >>> ones = np.ones(3)
    >>> censored_quantile(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), ones, 0.5)
    3.0
    """
    if not known.any():
        return None
    order = np.lexsort((~known, values))  # of equal ones the known first
    values, known, weights = values[order], known[order], weights[order]
    at_risk = np.cumsum(weights[::-1])[::-1]
    alive = np.cumprod(np.where(known, 1.0 - weights / at_risk, 1.0))
    reached = np.flatnonzero(known & (1.0 - alive >= level - 1e-12))
    return float(values[reached[0]] if reached.size else values[known].max())


def _row(name: str, moments: Sequence[_Moment]) -> StartsRow:
    true = np.concatenate([one.true_s for one in moments])
    told = np.concatenate([one.told[name] for one in moments])
    began = (true[:, None] <= told).mean(axis=0)
    finite = np.isfinite(true) & np.isfinite(told).all(axis=1)
    short = true[finite, None] - told[finite]
    levels = np.array(LEVELS)
    loss = np.maximum(levels * short, (levels - 1.0) * short).mean(axis=0)
    return StartsRow(
        name=name,
        num_forecasts=len(true),
        num_moments=len(moments),
        started_by_p50_fraction=float(began[_P50]),
        started_by_p90_fraction=float(began[_P90]),
        pinball_p50_s=float(loss[_P50]),
        pinball_p90_s=float(loss[_P90]),
        avg_width_s=float((told[finite, _P90] - told[finite, 0]).mean()),
        started_by_level_fraction=tuple(began.tolist()),
    )
