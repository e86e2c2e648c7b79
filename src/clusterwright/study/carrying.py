"""Does a gain carry over: what a tuned policy is ahead of others by, with its uncertainty.

The interval is that of a circular block bootstrap: days of submission are drawn again in blocks of
consecutive days, the same ones for both policies, for a crowded day makes the next one crowded too.
Blocks have ∛n of n days.

Sources: Politis and Romano, "A circular block-resampling procedure for stationary data", 1992;
Hall, Horowitz and Jing, "On blocking rules for the bootstrap with dependent data", Biometrika 82,
1995 (blocks of the order ∛n for a variance).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.study.bench import Jobwise
from clusterwright.study.wishes import ALL, EACH, Figure, Measured, Objective, Wishes
from clusterwright.units import Fraction, InUnit, Ratio

PERIODS = ("searched", "later")
"""Names of the periods, in the order of the bench that judges."""

_DRAWS = 500
_BOUNDS = (2.5, 97.5)  # percentiles
_SHRUNK: Fraction = 0.5  # of the gain searched for: below it a reader should know
_NOTHING: Fraction = 0.001  # a gain on the period searched below which nothing was found
# Figures that are means or percentiles over jobs; the others belong to a run as a whole.
_JOBWISE: dict[str, Callable[[Jobwise], npt.NDArray[np.float64]]] = {
    "avg_jct_s": lambda one: one.jct_s,
    **dict.fromkeys(
        ("avg_wait_s", "p50_wait_s", "p95_wait_s", "p99_wait_s"), lambda one: one.wait_s
    ),
}
_PERCENTILES = {"p50_wait_s": 50, "p95_wait_s": 95, "p99_wait_s": 99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A policy on a whole period."""

    measured: Measured
    """Its figures."""
    jobs: Jobwise
    """What became of each job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What the tuned policy is ahead of another one by, on one period."""

    period: str
    """`searched` or `later`."""
    against: str
    """The other policy."""
    objective_before: InUnit
    """Objective of the other policy, in the unit of its field."""
    objective_after: InUnit
    """Objective of the tuned one."""
    gain_fraction: Ratio | None
    """By how much it is better, of the other's; below 0 when it is worse, absent when the other's
    is 0."""
    low_fraction: Ratio | None
    """Lower end of the 95 % interval; absent where days say nothing, as for energy."""
    high_fraction: Ratio | None
    """Upper end of it."""
    before_meets: bool
    """Whether the other policy holds all limits on the period."""
    after_meets: bool
    """Whether the tuned one does."""


def gains(
    wishes: Wishes,
    ran: Mapping[str, Sequence[Ran]],
    *,
    tuned: str,
    start: str,
    seed: int,
) -> tuple[Gain, ...]:
    """Return what the tuned policy gains on each other one, on the period searched and the later.

    Parameters
    ----------
    wishes
        What was asked for.
    ran
        By name, each policy on the one period and on the other.
    tuned, start
        Names of the policy found, and of the one started from.
    seed
        Seed of the days drawn.
    """
    return tuple(
        gain(
            wishes,
            period=period,
            against=name,
            before=ran[name][place],
            after=ran[tuned][place],
            start=ran[start][place],
            rng=np.random.default_rng(seed),
        )
        for place, period in enumerate(PERIODS)
        for name in ran
        if name != tuned
    )


def gain(
    wishes: Wishes,
    *,
    period: str,
    against: str,
    before: Ran,
    after: Ran,
    start: Ran,
    rng: np.random.Generator,
) -> Gain:
    """Return what a policy gains on another one.

    Parameters
    ----------
    wishes
        What was asked for.
    period, against
        Names of the period and of the other policy.
    before, after
        The other policy, and the tuned one.
    start
        The policy that limits are held against where they say so.
    rng
        Draws days.
    """
    objective = wishes.objective
    old, new = objective.of(before.measured), objective.of(after.measured)
    low, high = _interval(objective, before.jobs, after.jobs, rng)
    return Gain(
        period=period,
        against=against,
        objective_before=old,
        objective_after=new,
        gain_fraction=_gained(objective, old, new),
        low_fraction=low,
        high_fraction=high,
        before_meets=not wishes.excess_ratio([before.measured], [start.measured]),
        after_meets=not wishes.excess_ratio([after.measured], [start.measured]),
    )


def warnings(gains: tuple[Gain, ...], *, start: str) -> tuple[str, ...]:
    """Return what a reader must know before they use the tuned policy."""
    searched = next(one for one in gains if one.period == "searched" and one.against == start)
    later = next(one for one in gains if one.period == "later" and one.against == start)
    found = [*_about_gain(searched.gain_fraction or 0.0, later)]
    if not later.after_meets:
        found.append("the limits do not hold on the later period")
    found += [
        f"on the later period it is {-one.gain_fraction:.1%} worse than {one.against}"
        for one in gains
        if one.period == "later"
        and one.against != start
        and one.gain_fraction is not None
        and one.gain_fraction < 0
        and one.before_meets
    ]
    return tuple(found)


def _about_gain(searched: float, later: Gain) -> list[str]:
    if later.gain_fraction is None:
        return [f"{later.against} leaves nothing to gain on the later period"]
    if searched < _NOTHING:
        return [f"nothing was found that is better than {later.against} and holds the limits"]
    gained = later.gain_fraction
    if gained <= 0:
        return [f"the gain does not carry over: {searched:.1%} became {gained:.1%}"]
    found = []
    if later.low_fraction is not None and later.low_fraction <= 0:
        found.append(f"the gain of {gained:.1%} on the later period may be chance")
    if gained < _SHRUNK * searched:
        found.append(f"the gain shrinks: {searched:.1%} became {gained:.1%}")
    return found


def _gained(objective: Objective, before: float, after: float) -> float | None:
    if not before:
        return None
    better = after - before if objective.figure.more_is_better else before - after
    return better / abs(before)


def _interval(
    objective: Objective, before: Jobwise, after: Jobwise, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    figure = objective.figure
    if figure.field not in _JOBWISE:
        return None, None
    mine = _rows(before, figure)
    if not any(rows.size for rows in mine):
        return None, None
    old, new = _JOBWISE[figure.field](before), _JOBWISE[figure.field](after)
    days = [_by_day(before.day, rows) for rows in mine]
    num_days = int(before.day.max()) + 1
    found = []
    for _ in range(_DRAWS):
        drawn = _blocks(num_days, rng)
        sides = ([_of(figure, side, one, drawn) for one in days] for side in (old, new))
        worst = [max(values) for values in sides]
        one = _gained(objective, *worst)
        if one is not None:
            found.append(one)
    if len(found) < _DRAWS // 2:
        return None, None
    low, high = np.percentile(found, _BOUNDS)
    return float(low), float(high)


def _rows(jobs: Jobwise, figure: Figure) -> list[npt.NDArray[np.int64]]:
    """Return which jobs count: one list of them, or one for each queue."""
    queues = np.array(jobs.queues)
    if figure.queue == ALL:
        return [np.arange(queues.size)]
    names = np.unique(queues) if figure.queue == EACH else [figure.queue]
    return [np.flatnonzero(queues == name) for name in names]


def _by_day(day: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    num_days = int(day.max()) + 1
    return [rows[day[rows] == number] for number in range(num_days)]


def _blocks(num_days: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    length = max(1, round(num_days ** (1 / 3)))
    firsts = rng.integers(num_days, size=-(-num_days // length))
    days: npt.NDArray[np.int64] = (firsts[:, None] + np.arange(length)).ravel() % num_days
    return days[:num_days]


def _of(
    figure: Figure,
    values: npt.NDArray[np.float64],
    by_day: list[npt.NDArray[np.int64]],
    drawn: npt.NDArray[np.int64],
) -> float:
    here = values[np.concatenate([by_day[day] for day in drawn])]
    here = here[~np.isnan(here)]
    if not here.size:
        return 0.0
    if figure.field in _PERCENTILES:
        return float(np.percentile(here, _PERCENTILES[figure.field]))
    return float(here.mean())
