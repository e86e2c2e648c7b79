"""The lists to buy and to cable by, as CSV for spreadsheets and programs."""

import csv
import io
from collections.abc import Iterable, Sequence

from clusterwright.model.design import Design
from clusterwright.model.network import Cable

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def bom_csv(design: Design) -> str:
    """Return the bill of materials as CSV, one line of it a row, money in dollars."""
    columns = (
        "category",
        "item",
        "num_items",
        "unit_price_usd",
        "low_usd",
        "cost_usd",
        "high_usd",
        "estimated",
        "source",
    )
    return csv_text(
        columns,
        (
            (
                line.category,
                line.item,
                line.num_items,
                _money(line.unit_price_usd),
                _money(line.low_usd),
                _money(line.cost_usd),
                _money(line.high_usd),
                "yes" if line.estimated else "no",
                line.source,
            )
            for line in design.spec.economics.bom
        ),
    )


def cabling_csv(cables: Iterable[Cable]) -> str:
    """Return cables as CSV, one a row with both its ends, lengths in metres."""
    columns = (
        "cable_id",
        "plane",
        "from_device",
        "from_port",
        "to_device",
        "to_port",
        "part",
        "length_m",
    )
    return csv_text(
        columns,
        (
            (
                cable.cable_id,
                cable.plane,
                cable.from_device,
                cable.from_port,
                cable.to_device,
                cable.to_port,
                cable.part,
                f"{cable.length_m:.1f}",
            )
            for cable in cables
        ),
    )


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV under the names of their columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue()


def _harmless(value: object) -> object:
    """Return a text that no spreadsheet takes for a formula; numbers stay."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def _money(value: float) -> str:
    return f"{value:.2f}"
