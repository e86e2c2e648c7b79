"""From what people write to a float in the base unit, refusing whatever leaves a doubt."""

import math
import re

from clusterwright.units.unit import DIMENSIONS, Unit, lowered

_NUMBER = re.compile(r"[+-]?(?:\d+(?:[_,]\d{3})*|\d*)(?:\.\d*)?(?:[eE][+-]?\d{1,4})?")
_COMPOUND = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]+)")
_LONGEST = 64  # characters of a quantity that are worth reading
_REFUSED = {
    "month": "a month has no fixed length; write days, for example `30 d`",
    "months": "a month has no fixed length; write days, for example `30 d`",
    "mo": "a month has no fixed length; write days, for example `30 d`",
}


class UnitError(ValueError):
    """A text that is no quantity of the kind wanted; the message says what to write."""


def parse_text(text: str, unit: Unit) -> float:
    """Return the value of a text in the base unit."""
    words = text.strip()
    if not words or len(words) > _LONGEST:
        raise UnitError(_asks(unit, text, "is no quantity"))
    value = _compound_time(words) if unit.dimension == "time" else None
    if value is None:
        value = _simple(words, unit)
    problem = unit.problem(value)
    if problem is not None:
        raise UnitError(_asks(unit, text, problem))
    return value


def _simple(words: str, unit: Unit) -> float:
    money = words.startswith(("$", "-$"))
    bare = words.replace("$", "", 1) if money else words
    match = _NUMBER.match(bare)
    number_text = match.group(0) if match else ""
    if not any(character.isdigit() for character in number_text):
        raise UnitError(_asks(unit, words, "does not begin with a number"))
    spelling = " ".join(bare[len(number_text) :].split())
    if money:
        spelling = _dollars(spelling)
    number = float(number_text.replace(",", "").replace("_", ""))
    factor = _factor(spelling, number, words, unit)
    value = number * factor
    if spelling == "%" or (factor < 1 and value != 0 and not math.isinf(value)):
        # A division by the whole reciprocal keeps 60 % at 0.6 and 0.085 USD/kWh exact.
        reciprocal = 1 / factor
        if abs(reciprocal - round(reciprocal)) < 1e-9 * reciprocal:
            value = number / round(reciprocal)
    return value


def _factor(spelling: str, number: float, words: str, unit: Unit) -> float:
    known = DIMENSIONS[unit.dimension].spellings
    if spelling == "" and unit.dimension == "fraction" and number > 1:
        raise UnitError(_asks(unit, words, "is above 1; a share in percent needs its sign"))
    for form in (spelling, spelling.replace(" ", "")):
        if form in known:
            return known[form]
    if spelling.casefold() in _REFUSED:
        raise UnitError(f"{words!r}: {_REFUSED[spelling.casefold()]}")
    if spelling == "":
        raise UnitError(_asks(unit, words, "has no unit"))
    near = lowered(unit.dimension).get(spelling.replace(" ", "").casefold(), ())
    if near:
        number_text = f"{number:g}"
        choices = " or ".join(f"`{number_text} {form}`" for form in near)
        raise UnitError(f"{words!r} leaves open which unit is meant; write {choices}")
    other = _other_kind(spelling)
    if other is not None:
        raise UnitError(_asks(unit, words, f"is {other}"))
    raise UnitError(_asks(unit, words, f"has the unknown unit {spelling!r}"))


def _compound_time(words: str) -> float | None:
    """Return the sum of a text like `1d 4h` or `2h30m`; None when it has one part only."""
    total, position, parts = 0.0, 0, 0
    known = {**DIMENSIONS["time"].spellings, "m": 60.0}
    while position < len(words):
        match = _COMPOUND.match(words, position)
        if match is None or match.group(2) not in known:
            return None
        total += float(match.group(1)) * known[match.group(2)]
        position, parts = match.end(), parts + 1
    return total if parts > 1 else None


def _dollars(spelling: str) -> str:
    prefix, slash, below = spelling.partition("/")
    prefix = {"m": "M", "b": "bn ", "bn": "bn ", "K": "k", "B": "bn "}.get(prefix, prefix)
    return f"{prefix}{' ' if len(prefix) > 2 and not prefix.endswith(' ') else ''}USD{slash}{below}"


def _other_kind(spelling: str) -> str | None:
    for name, dimension in DIMENSIONS.items():
        if spelling and spelling in dimension.spellings:
            return f"a quantity of {name.replace('_', ' ')}"
    return None


def _asks(unit: Unit, text: str, why: str) -> str:
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return f"{shown!r} {why}; write for example `{DIMENSIONS[unit.dimension].example}`"
