"""Whether work that can wait should run in this hour, or hold until the hours are cheaper.

The rule takes the marginal hour: of the hours left before the deadline so many are needed, and the
dearest one among the cheapest that many sets a price. An hour below it is worth running in, one
above it is worth waiting through, as far as stopping and starting again does not cost more than it
saves. The rule is asked again in every hour with what is then known and what is then left, so a
wrong guess is mended by the next one. The deadline is never at stake: once the time left is no more
than the work left with its reserve, the work runs at any price.

Only numbers of one job stand here; which jobs find room is the cycle's business.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from clusterwright.errors import UsageError
from clusterwright.sched.outlook import Hours, Outlook
from clusterwright.units import SECONDS_PER_HOUR, Fraction, PerSecond, Ratio, Seconds

_HALVINGS = 3  # stretches looked at: all hours to the deadline, half of them, a quarter
_ROUNDING = 1e-12  # of the largest value; doubles keep sixteen digits


class Ground(StrEnum):
    """Why work runs or holds."""

    CHEAP = "CHEAP"
    """No later hours are cheaper by enough."""
    DUE = "DUE"
    """The deadline leaves no time to wait."""
    DEAR = "DEAR"
    """Later hours are cheaper; a waiting job's reason is BEGIN_TIME."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferrable:
    """A job that may wait, as it stands now."""

    need_s: Seconds
    """Time on its accelerators that it still needs when nothing stops it; above zero."""
    due_s: Seconds
    """Time from now to its deadline; it may be below zero."""
    lost_s: Seconds = 0.0
    """Time that failures are expected to take on the way."""
    reserve_s: Seconds = 0.0
    """Time that must stay free before the deadline, failures and wrong guesses included."""
    interruptible: bool = False
    """True when it may pause at a checkpoint and go on later."""
    restart_s: Seconds = 0.0
    """Time on its accelerators that going on after a pause takes."""
    started: bool = False
    """True when it has run: going on after a pause then costs a restart."""
    running: bool = False
    """True when it runs now."""

    def __post_init__(self) -> None:
        """Refuse work of no length, and times below zero."""
        if not (self.need_s > 0 and min(self.lost_s, self.reserve_s, self.restart_s) >= 0):
            msg = (
                f"a deferrable job needs time above zero and other times of 0 or more: need "
                f"{self.need_s:g} s, lost {self.lost_s:g} s, reserve {self.reserve_s:g} s, "
                f"restart {self.restart_s:g} s"
            )
            raise UsageError(msg)
        if not math.isfinite(self.due_s):
            msg = "a job without a deadline is never due; give it one, or do not defer it"
            raise UsageError(msg)

    @property
    def slack_s(self) -> Seconds:
        """How long it can still hold before it must run to the end; below zero when too late."""
        again = self.restart_s if self.started else 0.0
        return self.due_s - self.need_s - self.reserve_s - again


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do in this hour."""

    run: bool
    """True to run, false to hold."""
    until_s: Seconds
    """How long, from now, this is expected to hold; to be asked again in an hour at the latest."""
    ground: Ground
    """Why."""


def decide(
    work: Deferrable, ahead: Outlook, *, caution_ratio: Ratio = 1.0, foretell: bool = False
) -> Decision:
    """Return whether work runs in this hour.

    Parameters
    ----------
    work
        The job as it stands.
    ahead
        The signal from this hour on, to the deadline or beyond; what lies beyond is not looked at.
    caution_ratio
        How many times its cost a pause must be expected to save, 0 or more.
    foretell
        Whether `until_s` looks further than an hour, for people who ask; it takes longer.

    Notes
    -----
    Holding for this hour is allowed while the slack lasts longer than it. A job that may not pause
    looks for the cheapest window that begins within its slack. O(hours log hours).
    """
    hours = max(1, math.ceil(work.due_s / SECONDS_PER_HOUR - 1e-9))
    values = Outlook(ahead.scenarios[:, :hours])
    if work.slack_s < SECONDS_PER_HOUR:
        return Decision(run=True, until_s=max(work.due_s, 0.0), ground=Ground.DUE)
    if work.running and not work.interruptible:
        return Decision(run=True, until_s=work.need_s, ground=Ground.CHEAP)
    latest = int(work.slack_s // SECONDS_PER_HOUR)
    if work.interruptible:
        run, change = _by_the_hour(work, values, caution_ratio, foretell=foretell)
    else:
        change = _best_window(values.mean, work.need_s / SECONDS_PER_HOUR, latest)
        run = change == 0
    if run:
        until = change * SECONDS_PER_HOUR if work.interruptible else work.need_s
        return Decision(run=True, until_s=min(until, work.need_s), ground=Ground.CHEAP)
    return Decision(run=False, until_s=min(change, latest) * SECONDS_PER_HOUR, ground=Ground.DEAR)


def expected_loss_s(run_s: float, *, failures_per_s: float, each_s: float) -> float:
    """Return the time that failures are expected to take from a run of so many seconds."""
    return run_s * failures_per_s * each_s


def reserve_s(
    run_s: Seconds,
    *,
    failures_per_s: PerSecond,
    each_s: Seconds,
    risk_fraction: Fraction,
    error_fraction: Fraction = 0.0,
) -> Seconds:
    """Return the time to keep free before a deadline, so that it is missed only so often.

    Parameters
    ----------
    run_s
        Run time that is left.
    failures_per_s
        Rate at which failures stop the job, Poisson.
    each_s
        Time that one of them takes: detection, repair, restart, work since the checkpoint.
    risk_fraction
        Chance that more failures come than the reserve holds, above 0.
    error_fraction
        How far the run time may be off.

    Examples
    --------
    >>> reserve_s(1e6, failures_per_s=1e-6, each_s=60, risk_fraction=0.01)
    240.0
    """
    if not 0 < risk_fraction < 1:
        msg = f"risk is {risk_fraction:g}; it must be above 0 and below 1"
        raise UsageError(msg)
    mean = run_s * failures_per_s
    count, chance = 0, math.exp(-mean)
    missing = 1 - chance
    while missing > risk_fraction:
        count += 1
        chance *= mean / count
        missing -= chance
    return count * each_s + run_s * error_fraction


def _by_the_hour(
    work: Deferrable, ahead: Outlook, caution: float, *, foretell: bool
) -> tuple[bool, int]:
    """Return whether to run now, and in how many hours that changes.

    Hours are charged what they cost above the marginal one, which makes any number of them fair;
    the cheapest way to run and rest through the hours ahead then follows backwards from the last.
    """
    rest = _Rest.of(work, ahead, caution)
    cheap = rest.reaches(float(ahead.scenarios[0, 0]))
    if cheap == work.running and not foretell:
        # Going on in a cheap hour and holding on in a dear one is best whatever comes.
        return cheap, 1
    marginal = rest.marginal()
    again = rest.again_hours * max(marginal, 0.0)
    above = ahead.mean - marginal
    # A mean of equal numbers may differ from them by rounding; a flat price must not delay.
    above[np.abs(above) <= _ROUNDING * np.abs(ahead.scenarios).max()] = 0.0
    return _cheapest_way(above.tolist(), again, work)


def _cheapest_way(excess: list[float], again: float, work: Deferrable) -> tuple[bool, int]:
    """Return whether the cheapest way through the hours begins running, and until which hour."""
    # Cost from an hour on: running in it, paused before it, never started. What is paused at the
    # last hour has its restart still to come.
    run, rest, fresh = 0.0, again, 0.0
    stops = starts = fresh_starts = len(excess)
    for hour in range(len(excess) - 1, 0, -1):
        on = excess[hour] + min(run, rest)
        stops = stops if run <= rest else hour + 1
        if on + again <= rest:
            rest, starts = on + again, hour
        if on <= fresh:
            fresh, fresh_starts = on, hour
        run = on
    on = excess[0] + min(run, rest)
    stops = stops if run <= rest else 1
    if not work.started:
        return (True, stops) if on <= fresh else (False, fresh_starts)
    return (True, stops) if on + (0.0 if work.running else again) <= rest else (False, starts)


@dataclass(frozen=True, slots=True)
class _Rest:
    """How long may be rested in which stretches of the hours ahead.

    So many hours may be rested in until the deadline, but not all of them soon: the reserve comes
    free only as the work shrinks. Whichever stretch from now on leaves the least rest decides.
    """

    stretches: list[tuple[Hours, float]]
    restart_hours: float
    again_hours: float

    @classmethod
    def of(cls, work: Deferrable, ahead: Outlook, caution: float) -> "_Rest":
        rest = (work.due_s - work.need_s - work.lost_s) / SECONDS_PER_HOUR
        soon = min(work.slack_s / SECONDS_PER_HOUR, rest)
        hours = ahead.scenarios.shape[1]
        lengths = sorted({hours >> halving for halving in range(_HALVINGS)} - {0}, reverse=True)
        restart = work.restart_s / SECONDS_PER_HOUR
        budgets = [(n, soon + (rest - soon) * n / hours) for n in lengths]
        return cls(
            # A short stretch that may be rested through whole says nothing about its hours.
            [
                (ahead.scenarios[:, :n], budget)
                for n, budget in budgets
                if n == hours or budget < n + restart
            ],
            restart,
            caution * restart,
        )

    def reaches(self, value: float) -> bool:
        """Return whether the marginal value is at least one of the values of the first hour."""
        for values, budget_hours in self.stretches:
            below = values[values < value]
            if not below.size or self._rested(values, float(below.max())) > budget_hours:
                return True
        return False

    def marginal(self) -> float:
        """Return the value above which an hour is worth resting in.

        Stretches above it that are too short or too low to pay for a restart are not rested in, so
        it is lower than the ranks of the hours alone would have it.
        """
        return max(self._lowest(values, hours) for values, hours in self.stretches)

    def _lowest(self, values: Hours, budget_hours: float) -> float:
        ranked = np.sort(values, axis=None)
        low, high = 0, ranked.size - 1
        while low < high:
            middle = (low + high) // 2
            if self._rested(values, float(ranked[middle])) <= budget_hours:
                high = middle
            else:
                low = middle + 1
        return float(ranked[high])

    def _rested(self, values: Hours, bound: float) -> float:
        """Return the hours in which resting above a bound pays, restarts added; of a mean row."""
        # A last column without rest keeps the stretches of one row apart from the next one's.
        above = np.zeros((len(values), values.shape[1] + 1))
        np.maximum(values - bound, 0.0, out=above[:, :-1])
        flat = above.ravel()
        edges = np.flatnonzero(np.diff(flat > 0, prepend=False))
        begins, ends = edges[::2], edges[1::2]
        upto = np.cumsum(flat)
        pays = upto[ends] - upto[begins] + flat[begins] > self.again_hours * max(bound, 0.0)
        rested = (ends - begins)[pays].sum() + self.restart_hours * pays.sum()
        return float(rested) / len(values)


def _best_window(values: Hours, length_hours: float, latest: int) -> int:
    """Return the first of the cheapest starts of a window, in hours from now."""
    short = latest + math.ceil(length_hours) - values.size
    values = np.pad(values, (0, max(short, 0)), mode="edge")
    upto = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(upto.size, dtype=np.float64)
    starts = np.arange(latest + 1, dtype=np.float64)
    costs = np.interp(starts + length_hours, places, upto) - np.interp(starts, places, upto)
    # Equal windows differ by rounding alone; the earliest of them is taken.
    near = _ROUNDING * float(np.abs(values).sum())
    return int(np.flatnonzero(costs <= costs.min() + near)[0])
