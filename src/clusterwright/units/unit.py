"""What a unit is: its dimension, the spellings people use, and how a field carries it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

_DECIMAL = {
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Z": 1e21,
    "Y": 1e24,
}
_BINARY = {
    "Ki": 1024.0,
    "Mi": 1024.0**2,
    "Gi": 1024.0**3,
    "Ti": 1024.0**4,
    "Pi": 1024.0**5,
    "Ei": 1024.0**6,
}
_SMALL = {"m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9}
_HOUR, _DAY, _WEEK, _YEAR = 3600.0, 86400.0, 7 * 86400.0, 365.0 * 86400.0
_BIT = 0.125
_KWH = 3.6e6
_WORDS = {
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
}


@dataclass(frozen=True, slots=True)
class Unit:
    """The marker that stands in the annotation of a field."""

    symbol: str
    """Symbol of the base unit."""
    suffix: str
    """What the name of a field ends in; for a count, what it begins with."""
    dimension: str
    """Key of `DIMENSIONS`."""
    signed: bool = False
    """True when values below zero make sense."""
    keeps_suffix: bool = False
    """True when people read the suffix in the name, and the value is a plain number."""
    is_prefix: bool = False
    """True when `suffix` stands before the name."""

    def named(self, name: str) -> bool:
        """Return whether a field name carries this unit."""
        return name.startswith(self.suffix) if self.is_prefix else name.endswith(self.suffix)

    def outward(self, name: str) -> str:
        """Return the name that people write for a field name."""
        if self.keeps_suffix or not self.suffix or not self.named(name):
            return name
        short = name.removeprefix(self.suffix) if self.is_prefix else name.removesuffix(self.suffix)
        return short.rstrip("_") or name

    @property
    def plain(self) -> bool:
        """Whether a bare number is a value: counts, shares, ratios, and names that say the unit."""
        return self.keeps_suffix or self.dimension in {"count", "fraction", "ratio", "in_unit"}

    def problem(self, value: float) -> str | None:
        """Return what is wrong with a value in the base unit, or None."""
        if not math.isfinite(value):
            return "is not a finite number"
        if value < 0 and not self.signed:
            return "is below zero"
        if self.dimension == "fraction" and value > 1:
            return "is above 1 (100 %)"
        return None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read texts with a unit; numbers where the name or the writer says the unit."""
        from clusterwright.units.edge import core_schema

        return core_schema(self)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        """Describe the value for editors."""
        from clusterwright.units.edge import json_schema

        return json_schema(self)


@dataclass(frozen=True, slots=True)
class Dimension:
    """The spellings of one kind of quantity."""

    spellings: Mapping[str, float]
    """Factor to the base unit by spelling."""
    ladder: tuple[str, ...]
    """Spellings used for printing, smallest first; the largest that leaves 1 or more is taken."""
    example: str
    """What to write, shown in error messages."""


def unit_of(annotation: object) -> Unit | None:
    """Return the unit in an annotation, also inside unions and tuples; None without one."""
    if isinstance(annotation, Unit):
        return annotation
    for part in (*getattr(annotation, "__metadata__", ()), *get_args(annotation)):
        found = part if isinstance(part, Unit) else unit_of(part)
        if found is not None:
            return found
    return None


@cache
def lowered(dimension: str) -> Mapping[str, tuple[str, ...]]:
    """Return the spellings of a dimension by their lower-case form, to offer the right case."""
    found: dict[str, tuple[str, ...]] = {}
    for spelling in DIMENSIONS[dimension].spellings:
        key = spelling.casefold()
        found[key] = (*found.get(key, ()), spelling)
    return found


def _prefixed(symbol: str, *, small: bool = False, binary: bool = False) -> dict[str, float]:
    table = {prefix + symbol: factor for prefix, factor in _DECIMAL.items()}
    if small:
        table |= {prefix + symbol: factor for prefix, factor in _SMALL.items()}
    if binary:
        table |= {prefix + symbol: factor for prefix, factor in _BINARY.items()}
    return table


def _per(table: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {
        f"{above}/{below}": factor / divisor
        for above, factor in table.items()
        for below, divisor in others.items()
    }


_TIME = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": _HOUR,
    "hour": _HOUR,
    "hours": _HOUR,
    "d": _DAY,
    "day": _DAY,
    "days": _DAY,
    "week": _WEEK,
    "weeks": _WEEK,
    "w": _WEEK,
    "y": _YEAR,
    "year": _YEAR,
    "years": _YEAR,
    "yr": _YEAR,
    "a": _YEAR,
}
_RATE_TIME = {"s": 1.0, "min": 60.0, "h": _HOUR, "hour": _HOUR, "d": _DAY, "day": _DAY} | {
    "week": _WEEK,
    "year": _YEAR,
}
_PER_YEAR = {"year": 1.0, "yr": 1.0, "y": 1.0, "a": 1.0, "month": 12.0, "day": 365.0}
_BYTES = _prefixed("B", binary=True)
_BITS = {name: factor * _BIT for name, factor in _prefixed("bit").items()} | {
    name: factor * _BIT for name, factor in _prefixed("b").items()
}
_FLOP = _prefixed("FLOP") | _prefixed("FLOPs")
_FLOPS = {name + "S": factor for name, factor in _prefixed("FLOP").items()}
_WATT = _prefixed("W", small=True) | {"VA": 1.0, "kVA": 1e3}
_ENERGY = _prefixed("J") | {name + "h": factor * _HOUR for name, factor in _prefixed("W").items()}
_USD = (
    {prefix + "USD": factor for prefix, factor in _DECIMAL.items() if factor <= 1e12}
    | {f"{word} USD": factor for word, factor in _WORDS.items()}
    | {"$": 1.0, "USD bn": 1e9}
)
_MASS = {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6, "kt": 1e9, "Mt": 1e12}
_CO2 = {f"{name}{gas}": factor for name, factor in _MASS.items() for gas in ("", "CO2", "CO2e")} | {
    f"{name} {gas}": factor for name, factor in _MASS.items() for gas in ("CO2", "CO2e")
}
_TOKENS = {
    "token": 1.0,
    "tokens": 1.0,
    "ktoken": 1e3,
    "ktokens": 1e3,
    "Mtoken": 1e6,
    "Mtokens": 1e6,
    "Gtoken": 1e9,
    "Gtokens": 1e9,
}
_COUNT = {
    "": 1.0,
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "G": 1e9,
    "B": 1e9,
    "T": 1e12,
    "P": 1e15,
    **_WORDS,
}

DIMENSIONS: Mapping[str, Dimension] = {
    "time": Dimension(_TIME, ("ns", "µs", "ms", "s", "min", "h", "d"), "14 days"),
    "bytes": Dimension(_BYTES, tuple(_prefixed("B")), "80 GB"),
    "bytes_per_time": Dimension(
        _per(_BYTES, _RATE_TIME) | _per(_BITS, {"s": 1.0}),
        tuple(f"{name}/s" for name in _prefixed("B")),
        "3.35 TB/s or 400 Gbit/s",
    ),
    "flop": Dimension(_FLOP, tuple(_prefixed("FLOP")), "3.8e25 FLOP"),
    "flop_per_time": Dimension(
        _per(_FLOP, {"s": 1.0}) | _FLOPS,
        tuple(f"{name}/s" for name in _prefixed("FLOP")),
        "989 TFLOP/s",
    ),
    "power": Dimension(_WATT, tuple(_prefixed("W")), "10.2 kW"),
    "energy": Dimension(_ENERGY, ("Wh", "kWh", "MWh", "GWh", "TWh"), "27.5 GWh"),
    "energy_per_year": Dimension(
        _per(_ENERGY, {"year": 1.0, "a": 1.0}),
        ("Wh/year", "kWh/year", "MWh/year", "GWh/year", "TWh/year"),
        "12 GWh/year",
    ),
    "energy_per_token": Dimension(
        {"J/token": 1.0, "mJ/token": 1e-3, "kJ/token": 1e3},
        ("mJ/token", "J/token", "kJ/token"),
        "0.3 J/token",
    ),
    "length": Dimension({"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3}, ("mm", "m", "km"), "30 m"),
    "temperature": Dimension({"°C": 1.0, "C": 1.0, "degC": 1.0}, ("°C",), "25 °C"),
    "frequency": Dimension(_prefixed("Hz"), ("Hz", "kHz", "MHz", "GHz"), "1.98 GHz"),
    "money": Dimension(_USD, ("USD", "kUSD", "MUSD", "bn USD"), "90 MUSD"),
    "money_per_year": Dimension(
        _per(_USD, _PER_YEAR), ("USD/year", "kUSD/year", "MUSD/year", "bn USD/year"), "4 MUSD/year"
    ),
    "money_per_hour": Dimension(
        {"USD/h": 1.0, "USD/GPU-h": 1.0, "USD/hour": 1.0, "USD/GPU-hour": 1.0},
        ("USD/h",),
        "2.95 USD/h",
    ),
    "money_per_energy": Dimension(
        {"USD/kWh": 1 / _KWH, "USD/MWh": 1e-3 / _KWH, "USD/J": 1.0, "cent/kWh": 0.01 / _KWH},
        ("USD/kWh",),
        "0.085 USD/kWh",
    ),
    "money_per_power": Dimension(
        {"USD/W": 1.0, "USD/kW": 1e-3, "MUSD/MW": 1.0, "USD/MW": 1e-6}, ("USD/W",), "11.7 USD/W"
    ),
    "money_per_bytes": Dimension(
        {"USD/B": 1.0, "USD/GB": 1e-9, "USD/TB": 1e-12, "USD/PB": 1e-15}, ("USD/TB",), "25 USD/TB"
    ),
    "money_per_million_tokens": Dimension(
        {"USD/Mtoken": 1.0, "USD/Mtokens": 1.0}, ("USD/Mtoken",), "0.4 USD/Mtoken"
    ),
    "mass": Dimension(_CO2, ("g", "kg", "t", "kt", "Mt"), "552 tCO2e"),
    "mass_per_energy": Dimension(
        {
            f"{name}/{below}": factor / divisor
            for name, factor in _CO2.items()
            for below, divisor in {"kWh": _KWH, "MWh": 1e3 * _KWH, "J": 1.0}.items()
        },
        ("g/kWh",),
        "570 gCO2/kWh",
    ),
    "mass_per_year": Dimension(
        _per(_CO2, {"year": 1.0, "a": 1.0}),
        ("g/year", "kg/year", "t/year", "kt/year", "Mt/year"),
        "8000 t/year",
    ),
    "fraction": Dimension({"%": 0.01, "": 1.0}, (), "60 % or 0.6"),
    "ratio": Dimension({"": 1.0, "x": 1.0, "%": 0.01}, (), "1.375"),
    "frequency_of_events": Dimension(
        {f"/{name}": 1 / seconds for name, seconds in _RATE_TIME.items()}
        | {f"1/{name}": 1 / seconds for name, seconds in _RATE_TIME.items()}
        | {f"{prefix}/s": factor for prefix, factor in _COUNT.items() if prefix},
        ("/s",),
        "40/s",
    ),
    "events_per_day": Dimension(
        {"": 1.0, "/day": 1.0, "/d": 1.0, "/h": 24.0, "k": 1e3, "M": 1e6}, ("/day",), "200"
    ),
    "events_per_year": Dimension({"": 1.0, "/year": 1.0, "/day": 365.0}, ("/year",), "4"),
    "tokens_per_time": Dimension(
        _per(_TOKENS, {"s": 1.0}),
        ("token/s", "ktoken/s", "Mtoken/s", "Gtoken/s"),
        "3000 token/s",
    ),
    "tokens_per_money": Dimension(
        _per(_TOKENS, {"USD": 1.0}), ("token/USD", "ktoken/USD", "Mtoken/USD"), "2 Mtoken/USD"
    ),
    "tokens_per_energy": Dimension(_per(_TOKENS, {"J": 1.0}), ("token/J", "ktoken/J"), "4 token/J"),
    "accelerator_time": Dimension(
        {f"{prefix}GPU-h": factor for prefix, factor in _DECIMAL.items()}
        | {f"{prefix} GPU-h": factor for prefix, factor in _COUNT.items() if prefix},
        ("GPU-h", "k GPU-h", "M GPU-h"),
        "30.8 M GPU-h",
    ),
    "count": Dimension(_COUNT, ("", "k", "M", "B", "T"), "15.6 T"),
    "in_unit": Dimension({"": 1.0}, (), "1.5"),
}
"""Kinds of quantity by name. A year is 365 days; a month is refused: none is like the next."""
