"""Hourly price and carbon of several zones: `zone, utc_hour, price_usd_per_mwh`, and carbon.

Carbon is `carbon_lifecycle_g_per_kwh`, as in the catalogue's own series, or where a table has no
such column `carbon_direct_g_per_kwh`. A series has no gaps: one is told, never filled.
"""

import datetime
from collections.abc import Mapping

from clusterwright.catalog.catalog import HourlySeries
from clusterwright.errors import Fault, InvalidInput
from clusterwright.traces.tidy import number_of, rows_of
from clusterwright.units import GramsPerJoule, UsdPerJoule, parse

_NEEDED = ("zone", "utc_hour", "price_usd_per_mwh")
_CARBON = ("carbon_lifecycle_g_per_kwh", "carbon_direct_g_per_kwh")
_HOUR = datetime.timedelta(hours=1)


def read_series(content: bytes, *, file: str) -> Mapping[str, HourlySeries]:
    """Return the series of every zone of a table, CSV or gzip of it.

    Raises
    ------
    InvalidInput
        With every row that is no number or no hour, and every zone with a gap or that begins at
        another hour than midnight.
    """
    usd_per_mwh, g_per_kwh = parse("1 USD/MWh", UsdPerJoule), parse("1 g/kWh", GramsPerJoule)
    prices: dict[str, list[float]] = {}
    carbons: dict[str, list[float]] = {}
    upto: dict[str, datetime.datetime] = {}
    faults: list[Fault] = []
    for line, row in rows_of(content, file, _NEEDED):
        zone = row["zone"]
        names = ("price_usd_per_mwh", next((n for n in _CARBON if n in row), _CARBON[0]))
        values = [number_of(row.get(name, "")) for name in names]
        faults += [
            Fault(
                file=file,
                line=line,
                path=name,
                message=f"{row.get(name, '')!r} is no number",
                remedy="a series has a price and a carbon intensity in every hour",
            )
            for name, value in zip(names, values, strict=True)
            if value is None
        ]
        faults += _misplaced(row, upto, file, line)
        prices.setdefault(zone, []).append((values[0] or 0.0) * usd_per_mwh)
        carbons.setdefault(zone, []).append((values[1] or 0.0) * g_per_kwh)
    if not prices and not faults:
        faults.append(Fault(file=file, message="has no rows", remedy="give one row an hour"))
    if faults:
        raise InvalidInput(faults)
    return {
        zone: HourlySeries(price_usd_per_j=tuple(price), carbon_g_per_j=tuple(carbons[zone]))
        for zone, price in prices.items()
    }


def _misplaced(
    row: Mapping[str, str], upto: dict[str, datetime.datetime], file: str, line: int
) -> list[Fault]:
    """Return what is wrong with the hour of a row; `upto` keeps the last one of each zone."""
    zone, text = row["zone"], row["utc_hour"]
    try:
        hour = datetime.datetime.fromisoformat(text)
    except ValueError:
        remedy = "write it as 2023-01-01T00:00Z"
        message = f"{text!r} is no hour"
        return [Fault(file=file, line=line, path="utc_hour", message=message, remedy=remedy)]
    before = upto.get(zone)
    upto[zone] = hour
    if not zone:
        return [Fault(file=file, line=line, path="zone", message="is empty")]
    if before is None and hour.hour:
        message = f"{zone} begins at {text}"
        remedy = "begin at 00:00 UTC: days are counted from there"
    elif before is not None and hour - before != _HOUR:
        message = f"{zone} goes from {before:%Y-%m-%dT%H:%MZ} to {text}"
        remedy = "give every hour once, in order"
    else:
        return []
    return [Fault(file=file, line=line, path="utc_hour", message=message, remedy=remedy)]
