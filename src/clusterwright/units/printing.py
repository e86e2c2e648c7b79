"""From a float in the base unit to what people read and write."""

import math

from clusterwright.units.parsing import UnitError, parse_text
from clusterwright.units.unit import DIMENSIONS, Unit

_THOUSANDS_FROM = 10_000


def prose(value: float, unit: Unit, digits: int) -> str:
    """Return a value in so many significant digits, with the prefix that reads best."""
    if not math.isfinite(value):
        return str(value)
    if unit.dimension == "fraction":
        return f"{_rounded(100 * value, digits)} %"
    if unit.dimension == "time" and abs(value) >= 3600:
        return _duration(value)
    number, spelling = _scaled(value, unit)
    text = _rounded(number, digits)
    glue = "" if spelling.startswith("/") or not spelling else " "
    return f"{text}{glue}{spelling}"


def exact_text(value: float, unit: Unit) -> str:
    """Return a text that parses back into exactly this value."""
    for spelling in _candidates(value, unit):
        factor = DIMENSIONS[unit.dimension].spellings[spelling]
        number = f"{value / factor:.12g}"
        text = f"{number}{'' if spelling.startswith('/') else ' '}{spelling}".strip()
        if _reads_as(text, value, unit):
            return text
    smallest = _plainest(unit)
    return f"{value!r}{'' if smallest.startswith('/') else ' '}{smallest}".strip()


def _plainest(unit: Unit) -> str:
    spellings = DIMENSIONS[unit.dimension].spellings
    return next(name for name, factor in spellings.items() if factor == 1.0)


def _candidates(value: float, unit: Unit) -> list[str]:
    ladder = DIMENSIONS[unit.dimension].ladder
    if unit.dimension == "fraction":
        return ["%", ""]
    best = _scaled(value, unit)[1] if ladder else ""
    return [best, *reversed(ladder)]


def _reads_as(text: str, value: float, unit: Unit) -> bool:
    try:
        return parse_text(text, unit) == value
    except UnitError:
        return False


def _scaled(value: float, unit: Unit) -> tuple[float, str]:
    dimension = DIMENSIONS[unit.dimension]
    if not dimension.ladder:
        return value, ""
    chosen = dimension.ladder[0]
    for spelling in dimension.ladder:
        if abs(value) >= dimension.spellings[spelling] * (1 - 1e-12):
            chosen = spelling
    if value == 0:
        chosen = "s" if unit.dimension == "time" else dimension.ladder[0]
    return value / dimension.spellings[chosen], chosen


def _rounded(number: float, digits: int) -> str:
    if number == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(number)))
    rounded = round(number, decimals)
    text = f"{rounded:.{max(decimals, 0)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if abs(rounded) >= _THOUSANDS_FROM:
        return f"{rounded:,.0f}"
    return text


def _duration(value: float) -> str:
    sign = "-" if value < 0 else ""
    minutes = round(abs(value) / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    years, days = divmod(days, 365)
    parts = [(years, "years" if years > 1 else "year"), (days, "d"), (hours, "h"), (minutes, "min")]
    shown = [f"{number:,} {name}" for number, name in parts if number]
    return sign + " ".join(shown[:2])
