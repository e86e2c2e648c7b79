"""Figures as readers see them: three digits in prose, exact values in tables.

Scaling and rounding are those of `units`; this module adds the money sign, the words of the
language and columns that still sum after rounding.
"""

import math
import re
from collections.abc import Sequence

from clusterwright import units
from clusterwright.report.language import Words
from clusterwright.units import DIMENSIONS, Unit, unit_of

NO_BREAK = "\u00a0"
MINUS = "\u2212"
_MONEY = re.compile(r"^(-?)([\d.,]+) (bn USD|[kM]?USD)(.*)$")
_MONEY_WITHIN = re.compile(r"(?<![\w.])([\d.,]*\d) (bn USD|[kM]?USD)\b")
_THOUSAND = re.compile(r"(?<![\d.,])(\d)(\d{3})(?![\d,])")
_MONEY_PREFIX = {"USD": "", "kUSD": " k", "MUSD": " M", "bn USD": " bn"}
_WHOLE_FROM = 100  # a count of that many is shown without a fraction
_BY_SYMBOL = {
    unit.symbol: alias
    for alias, unit in (
        (alias, unit_of(alias))
        for alias in (
            units.Seconds,
            units.Bytes,
            units.BytesPerSecond,
            units.Flop,
            units.FlopPerSecond,
            units.Watts,
            units.Usd,
            units.UsdPerYear,
            units.TokensPerSecond,
            units.GramsPerYear,
            units.JoulesPerYear,
            units.AcceleratorHours,
            units.PerSecond,
        )
    )
    if unit is not None
}


class Numbers:
    """Figures in one language."""

    def __init__(self, words: Words) -> None:
        """Take the words of the language."""
        self.words = words

    def __call__(self, value: float | None, alias: object, *, digits: int = 3) -> str:
        """Return a quantity for prose, such as `1.31 MW` or `$64.2 M`."""
        if value is None or not math.isfinite(value):
            return self.words("number.none")
        return self._spoken(units.format(value, alias, digits=digits))

    def between(self, low: float, high: float, alias: object) -> str:
        """Return a range; the unit stands once when both ends share it."""
        first, second = self(low, alias), self(high, alias)
        if first == second:
            return first
        head, gap, tail = first.rpartition(NO_BREAK)
        if head and second.endswith(gap + tail):
            first = head
        return f"{first}–{second}"

    def in_unit(self, value: float, unit: str) -> str:
        """Return a value of a ledger: scaled where the unit is a base unit, else as it stands."""
        if not math.isfinite(value):
            return self.words("number.none")
        if unit in _BY_SYMBOL:
            return self(value, _BY_SYMBOL[unit])
        text = f"{value:,.0f}" if abs(value) >= _WHOLE_FROM else units.format(value, units.Ratio)
        return f"{text}{self.words('number.gap')}{self.words.term(unit)}".strip()

    def of(self, demand: float, capacity: float, unit: str) -> str:
        """Return a demand beside its capacity; a unit that both share stands once."""
        first, second = self.in_unit(demand, unit), self.in_unit(capacity, unit)
        head, _, tail = first.rpartition(self.words("number.gap"))
        if head and unit not in _BY_SYMBOL and second.endswith(tail):
            first = head
        return self.words("ledger.of", demand=first, capacity=second)

    def count(self, value: int) -> str:
        """Return a count with its thousands separated."""
        return f"{value:,}"

    def factor(self, value: float, digits: int = 3) -> str:
        """Return a plain number."""
        if not math.isfinite(value):
            return self.words("number.none")
        return self(value, units.Ratio, digits=digits)

    def exact(self, value: float | None, alias: object, spelling: str, decimals: int = 0) -> str:
        """Return a number in one unit for a table whose column names the unit."""
        if value is None or not math.isfinite(value):
            return self.words("number.none")
        return f"{value / scale(alias, spelling):,.{decimals}f}"

    def port(self, bytes_per_s: float) -> str:
        """Return a link speed in bits, as networks are bought."""
        bits = bytes_per_s / scale(units.BytesPerSecond, "bit/s")
        return (
            units.format(bits, units.BytesPerSecond).replace("B/s", "bit/s").replace(" ", NO_BREAK)
        )

    def column(
        self, values: Sequence[float], alias: object, spelling: str, decimals: int = 0
    ) -> tuple[str, ...]:
        """Return the figures of a column, rounded so that they sum to the rounded sum."""
        scaled = [value / scale(alias, spelling) for value in values]
        return tuple(f"{value:,.{decimals}f}" for value in summing(scaled, decimals))

    def money_in(self, text: str) -> str:
        """Return a text with amounts written as everywhere else: `163 MUSD` becomes `$163 M`."""
        return _MONEY_WITHIN.sub(
            lambda match: f"${match[1]}{_MONEY_PREFIX[match[2]]}".replace(" ", NO_BREAK), text
        )

    def _spoken(self, text: str) -> str:
        match = _MONEY.match(text)
        if match:
            sign, number, spelling, rest = match.groups()
            text = f"{sign}${number}{_MONEY_PREFIX[spelling]}{rest}"
        if self.words.lang != "en":
            text = re.sub(r"(?<=\d )(years?|d|h|min)\b", lambda m: self.words.term(m[0]), text)
            text = text.replace("/year", f"/{self.words.term('year')}")
        text = _THOUSAND.sub(r"\1,\2", text)
        if text.startswith("-"):
            text = MINUS + text[1:]
        return text.replace(" ", NO_BREAK)


def scale(alias: object, spelling: str) -> float:
    """Return how many base units a spelling of an alias is.

    Examples
    --------
    >>> scale(units.Watts, "kW")
    1000.0
    """
    unit = unit_of(alias)
    if not isinstance(unit, Unit):
        msg = f"{alias!r} is not an alias of units"
        raise TypeError(msg)
    return DIMENSIONS[unit.dimension].spellings[spelling]


def summing(values: Sequence[float], decimals: int) -> tuple[float, ...]:
    """Return values rounded so that they sum to the rounded sum, by largest remainder.

    Examples
    --------
    >>> summing([1 / 3, 1 / 3, 1 / 3], 1)
    (0.4, 0.3, 0.3)
    """
    step = 10.0**-decimals
    floors = [math.floor(value / step + 1e-9) for value in values]
    missing = round(math.fsum(values) / step) - sum(floors)
    order = sorted(range(len(values)), key=lambda i: (floors[i] - values[i] / step, i))
    for place in order[: max(missing, 0)]:
        floors[place] += 1
    return tuple(round(floor * step, decimals) for floor in floors)


def positions(most: float, wanted: int = 5) -> tuple[float, ...]:
    """Return round positions of axis marks from 0 to at least `most`.

    Examples
    --------
    >>> positions(1.3)
    (0.0, 0.5, 1.0, 1.5)
    """
    if not math.isfinite(most) or most <= 0:
        return (0.0, 1.0)
    rough = most / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    count = math.ceil(most / step - 1e-9)
    return tuple(round(step * place, 12) for place in range(count + 1))
