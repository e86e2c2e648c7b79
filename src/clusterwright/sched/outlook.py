"""What is known and what is expected of an hourly signal: price, carbon, or money for both.

The signal is an array by hour. Everything here takes only its known part: what has been, and what
the market has published for the hours ahead. What comes after is expected to look like the same
hour of the last weeks, moved by how far the last hours were from theirs; each of those weeks is
kept as a scenario of its own, because a mean of weeks has none of the peaks that one hour has.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.errors import UsageError
from clusterwright.units import Ratio

Hours = npt.NDArray[np.float64]

_DAY = 24
_WEEK = 168


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How the hours are guessed that nobody has published.

    The defaults were chosen on January to June 2023 of twelve zones together, for price and carbon
    alike (decision 0014); none is fitted to a zone.
    """

    num_weeks: int = 3
    """Past weeks that are looked at, at least 1."""
    level_hours: int = 6
    """Last known hours whose distance from their own past weeks moves the guess, at least 1."""
    half_life_ratio: Ratio = 12.0
    """Hours after which half of that distance is forgotten; 0 forgets it at once."""

    def __post_init__(self) -> None:
        """Refuse a forecast from nothing."""
        if self.num_weeks < 1 or self.level_hours < 1:
            msg = "a forecast looks at one or more past weeks and last hours"
            raise UsageError(msg)
        if not self.half_life_ratio >= 0:
            msg = f"half_life is {self.half_life_ratio:g} hours; it must be 0 or more"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The hours from now on, as one row for each scenario."""

    scenarios: Hours
    """Values of shape `(num_scenarios, num_hours)`; hour 0 is now, and known."""

    @property
    def mean(self) -> Hours:
        """Expected value of each hour."""
        return np.asarray(self.scenarios.mean(axis=0))

    def plus(self, other: "Outlook", weight: float) -> "Outlook":
        """Return this signal and so much of another one: price and carbon at a carbon price."""
        return Outlook(self.scenarios + weight * other.scenarios)


def outlook(known: Hours, now: int, num_hours: int, forecast: Forecast) -> Outlook:
    """Return what to expect of the next hours.

    Parameters
    ----------
    known
        The signal from its beginning to the last hour that is known; nothing later may be in it.
    now
        Index of the present hour, which is known.
    num_hours
        Hours to look ahead, the present one included; at least 1.
    forecast
        How unknown hours are guessed.

    Raises
    ------
    UsageError
        If the present hour is not known, or a value is no number.
    """
    if not 0 <= now < known.size or num_hours < 1:
        msg = f"hour {now} is not among the {known.size} known hours of the signal"
        raise UsageError(msg)
    weeks = forecast.num_weeks
    published = known[now : now + num_hours]
    rows = np.broadcast_to(published, (weeks, published.size))
    ahead = num_hours - published.size
    if ahead:
        future = np.arange(known.size, known.size + ahead)
        guess = _past(known, future, weeks)
        recent = np.arange(known.size - forecast.level_hours, known.size)
        # A younger signal has no own past to be far from.
        if forecast.half_life_ratio and recent[0] >= _WEEK:
            off = known[recent] - _past(known[: recent[0]], recent, weeks).mean(axis=0)
            fade = 0.5 ** ((future - known.size + 1) / forecast.half_life_ratio)
            guess = guess + off.mean() * fade
        rows = np.concatenate([rows, guess], axis=1)
    if not np.isfinite(rows).all():
        msg = "the signal has hours without a number; mend the series"
        raise UsageError(msg)
    return Outlook(rows)


def num_known(now: int, *, published_hour: int | None) -> int:
    """Return how many hours from the beginning are known in hour `now`.

    Parameters
    ----------
    now
        The present hour, counted from a midnight.
    published_hour
        Hour of the day in which a day-ahead market publishes the whole next day; None where
        nothing is published ahead and the present hour is the last one known.

    Examples
    --------
    >>> num_known(10, published_hour=13), num_known(13, published_hour=13)
    (24, 48)
    """
    if published_hour is None:
        return now + 1
    days = now // _DAY + (2 if now % _DAY >= published_hour else 1)
    return days * _DAY


def _past(known: Hours, hours: npt.NDArray[np.int64], weeks: int) -> Hours:
    """Return the last known values at the same hour of the week, of shape `(weeks, num_hours)`.

    Where the signal is too young for that, the same hour of the day stands in, then the mean.
    """
    each = np.arange(weeks)[:, None]
    week, day = (
        hours - step * (-(-(hours - known.size + 1) // step) + each) for step in (_WEEK, _DAY)
    )
    fallback = np.where(day >= 0, known[np.maximum(day, 0)], known.mean())
    return np.where(week >= 0, known[np.maximum(week, 0)], fallback)
