"""Units: what people write becomes a float in the base unit, and comes back as they wrote it.

A quantity is a plain float inside; its field is annotated with one of the aliases below and its
name ends in the alias's suffix. Factors between units stand in this room and nowhere else.
"""

from typing import Annotated

from clusterwright.units.parsing import UnitError, parse_text
from clusterwright.units.printing import exact_text, prose
from clusterwright.units.unit import DIMENSIONS, Unit, unit_of

Seconds = Annotated[float, Unit("s", "_s", "time")]
Bytes = Annotated[float, Unit("B", "_bytes", "bytes")]
BytesPerSecond = Annotated[float, Unit("B/s", "_bytes_per_s", "bytes_per_time")]
Flop = Annotated[float, Unit("FLOP", "_flop", "flop")]
FlopPerSecond = Annotated[float, Unit("FLOP/s", "_flop_per_s", "flop_per_time")]
Watts = Annotated[float, Unit("W", "_w", "power")]
Joules = Annotated[float, Unit("J", "_j", "energy")]
JoulesPerYear = Annotated[float, Unit("J/year", "_j_per_year", "energy_per_year")]
JoulesPerToken = Annotated[float, Unit("J/token", "_j_per_token", "energy_per_token")]
Metres = Annotated[float, Unit("m", "_m", "length", signed=True)]
Celsius = Annotated[float, Unit("°C", "_celsius", "temperature", signed=True)]
Hertz = Annotated[float, Unit("Hz", "_hz", "frequency")]
Usd = Annotated[float, Unit("USD", "_usd", "money")]
UsdPerYear = Annotated[float, Unit("USD/year", "_usd_per_year", "money_per_year")]
UsdPerHour = Annotated[float, Unit("USD/h", "_usd_per_hour", "money_per_hour")]
UsdPerJoule = Annotated[float, Unit("USD/J", "_usd_per_j", "money_per_energy", signed=True)]
UsdPerWatt = Annotated[float, Unit("USD/W", "_usd_per_w", "money_per_power")]
UsdPerByte = Annotated[float, Unit("USD/B", "_usd_per_byte", "money_per_bytes")]
UsdPerAcceleratorHour = Annotated[
    float, Unit("USD/h", "usd_per_accelerator_hour", "money_per_hour")
]
UsdPerMillionTokens = Annotated[
    float, Unit("USD/Mtoken", "usd_per_million_tokens", "money_per_million_tokens")
]
Grams = Annotated[float, Unit("g", "_g", "mass")]
GramsPerJoule = Annotated[float, Unit("g/J", "_g_per_j", "mass_per_energy")]
GramsPerYear = Annotated[float, Unit("g/year", "_g_per_year", "mass_per_year")]
Fraction = Annotated[float, Unit("", "_fraction", "fraction")]
Ratio = Annotated[float, Unit("", "_ratio", "ratio")]
PerSecond = Annotated[float, Unit("1/s", "_per_s", "frequency_of_events")]
PerDay = Annotated[float, Unit("1/day", "_per_day", "events_per_day", keeps_suffix=True)]
PerYear = Annotated[float, Unit("1/year", "_per_year", "events_per_year", keeps_suffix=True)]
TokensPerSecond = Annotated[float, Unit("token/s", "tokens_per_s", "tokens_per_time")]
TokensPerUsd = Annotated[float, Unit("token/USD", "tokens_per_usd", "tokens_per_money")]
TokensPerJoule = Annotated[float, Unit("token/J", "tokens_per_j", "tokens_per_energy")]
AcceleratorHours = Annotated[float, Unit("GPU-h", "accelerator_hours", "accelerator_time")]
Count = Annotated[float, Unit("", "num_", "count", is_prefix=True)]
InUnit = Annotated[float, Unit("", "", "in_unit", signed=True)]

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86400.0
SECONDS_PER_YEAR = 365.0 * 86400.0
HOURS_PER_YEAR = 8760.0
JOULES_PER_KWH = 3.6e6
GRAMS_PER_TONNE = 1e6
TOKENS_PER_MILLION = 1e6


def parse(text: str, alias: object) -> float:
    """Return the value of a text in the base unit of an alias.

    Raises
    ------
    UnitError
        If the text is no quantity of that kind; the message says what to write.

    Examples
    --------
    >>> parse("400 Gbit/s", BytesPerSecond)
    50000000000.0
    >>> parse("1d 4h", Seconds)
    100800.0
    """
    return parse_text(text, _unit(alias))


def format(value: float, alias: object, *, digits: int | None = 3) -> str:
    """Return a value as people write it.

    Parameters
    ----------
    value
        In the base unit of the alias.
    alias
        One of the aliases of this room.
    digits
        Significant digits for prose; `None` writes a text that `parse` turns back into the value.

    Examples
    --------
    >>> format(1_305_600.0, Watts)
    '1.31 MW'
    >>> format(0.085 / 3.6e6, UsdPerJoule)
    '0.085 USD/kWh'
    """
    unit = _unit(alias)
    return exact_text(value, unit) if digits is None else prose(value, unit, digits)


def _unit(alias: object) -> Unit:
    unit = unit_of(alias)
    if unit is None:
        msg = f"{alias!r} is not an alias of units"
        raise TypeError(msg)
    return unit


__all__ = [
    "DIMENSIONS",
    "GRAMS_PER_TONNE",
    "HOURS_PER_YEAR",
    "JOULES_PER_KWH",
    "SECONDS_PER_DAY",
    "SECONDS_PER_HOUR",
    "SECONDS_PER_MINUTE",
    "SECONDS_PER_YEAR",
    "TOKENS_PER_MILLION",
    "AcceleratorHours",
    "Bytes",
    "BytesPerSecond",
    "Celsius",
    "Count",
    "Flop",
    "FlopPerSecond",
    "Fraction",
    "Grams",
    "GramsPerJoule",
    "GramsPerYear",
    "Hertz",
    "InUnit",
    "Joules",
    "JoulesPerToken",
    "JoulesPerYear",
    "Metres",
    "PerDay",
    "PerSecond",
    "PerYear",
    "Ratio",
    "Seconds",
    "TokensPerJoule",
    "TokensPerSecond",
    "TokensPerUsd",
    "Unit",
    "UnitError",
    "Usd",
    "UsdPerAcceleratorHour",
    "UsdPerByte",
    "UsdPerHour",
    "UsdPerJoule",
    "UsdPerMillionTokens",
    "UsdPerWatt",
    "UsdPerYear",
    "Watts",
    "format",
    "parse",
    "unit_of",
]
