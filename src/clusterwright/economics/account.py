"""The bill: lines that sum to the capex, lines that sum to the yearly cost, and what follows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.errors import UsageError
from clusterwright.model.design import Derivation
from clusterwright.model.economics import BomCategory, BomLine, CostLine, Economics, Rent
from clusterwright.units import (
    HOURS_PER_YEAR,
    SECONDS_PER_YEAR,
    Fraction,
    Seconds,
    Usd,
    UsdPerYear,
)
from clusterwright.units import (
    format as show,
)

_MILLION = 1_000_000
_NO_INTEREST = 1e-12  # rate times years; below it the integral's own rounding is larger


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What is bought and what is paid every year."""

    bom: tuple[BomLine, ...]
    """What is bought."""
    running: tuple[CostLine, ...]
    """What is paid every year."""
    num_accelerators: int
    """Accelerators in all pools."""
    tokens_per_year: float
    """Tokens trained in a year; 0 when nothing trains."""
    training_share_fraction: Fraction
    """Share of the cost that training carries, by its accelerators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyTerms:
    """How money is counted."""

    depreciation_s: Seconds
    """Straight-line life of the equipment."""
    discount_fraction: Fraction
    """Yearly discount rate; 0 counts a later dollar like one of today."""
    utilization_fraction: Fraction
    """Share of the accelerator-hours that is used."""


def account(
    bill: Bill, terms: MoneyTerms, rent: Rent | None
) -> tuple[Economics, tuple[Derivation, ...]]:
    """Return the economics of a design and how its figures came about."""
    capex = sum(line.cost_usd for line in bill.bom)
    opex = sum(line.cost_usd_per_year for line in bill.running)
    years = terms.depreciation_s / SECONDS_PER_YEAR
    tco = capex + present_value(opex, years, terms.discount_fraction)
    hours = bill.num_accelerators * HOURS_PER_YEAR * years
    economics = Economics(
        capex_usd=capex,
        capex_low_usd=sum(line.low_usd for line in bill.bom),
        capex_high_usd=sum(line.high_usd for line in bill.bom),
        opex_usd_per_year=opex,
        tco_usd=tco,
        usd_per_accelerator_hour=tco / hours if hours else 0.0,
        usd_per_million_tokens=_per_million_tokens(bill, tco, years),
        depreciation_s=terms.depreciation_s,
        utilization_fraction=terms.utilization_fraction,
        bom=bill.bom,
        running=bill.running,
        rent=rent,
    )
    return economics, _derivations(economics, bill, terms, years)


def present_value(per_year: float, years: float, rate: float) -> float:
    """Return what equal yearly costs are worth today, paid evenly over the years.

    C (1 - (1 + r)^-n) / ln(1 + r): the integral of C (1 + r)^-t from now to year n, because energy
    and wages are paid as time goes by and not on the last day of the year. A rate of 0 adds up.

    Examples
    --------
    >>> present_value(100.0, 5.0, 0.0)
    500.0
    >>> round(present_value(100.0, 5.0, 0.10), 2)
    397.73
    """
    if rate * years < _NO_INTEREST:
        return per_year * years
    force = math.log1p(rate)
    return per_year * -math.expm1(-force * years) / force


def _per_million_tokens(bill: Bill, tco: float, years: float) -> float | None:
    if not bill.tokens_per_year:
        return None
    return tco * bill.training_share_fraction / (bill.tokens_per_year * years / _MILLION)


def _derivations(
    economics: Economics, bill: Bill, terms: MoneyTerms, years: float
) -> tuple[Derivation, ...]:
    discount = (
        f", discounted at {show(terms.discount_fraction, Fraction)} a year"
        if terms.discount_fraction
        else ""
    )
    found = [
        Derivation(
            path="spec.economics.capex_usd",
            formula=f"sum of {len(economics.bom)} lines: {_by_category(economics.bom)}",
            source="catalogue: prices in the middle of their known range",
        ),
        Derivation(
            path="spec.economics.opex_usd_per_year",
            formula=" + ".join(
                f"{one.name} {show(one.cost_usd_per_year, UsdPerYear)}" for one in economics.running
            ),
            source="; ".join(dict.fromkeys(one.source for one in economics.running)),
        ),
        Derivation(
            path="spec.economics.tco_usd",
            formula=(
                f"{show(economics.capex_usd, Usd)} + {years:g} years × "
                f"{show(economics.opex_usd_per_year, UsdPerYear)}{discount}"
            ),
            source="arithmetic",
        ),
        Derivation(
            path="spec.economics.usd_per_accelerator_hour",
            formula=(
                f"{show(economics.tco_usd, Usd)} / ({bill.num_accelerators:,} accelerators × "
                f"{HOURS_PER_YEAR:,.0f} h × {years:g} years)"
            ),
            source="arithmetic; idle hours count too",
        ),
    ]
    if economics.usd_per_million_tokens is not None:
        found.append(
            Derivation(
                path="spec.economics.usd_per_million_tokens",
                formula=(
                    f"{show(economics.tco_usd, Usd)} × "
                    f"{show(bill.training_share_fraction, Fraction)} for training / "
                    f"({bill.tokens_per_year:.3g} tokens a year × {years:g} years)"
                ),
                source="arithmetic; the training pool carries its share of all costs",
            )
        )
    return tuple(found)


def _by_category(lines: Sequence[BomLine]) -> str:
    totals: dict[str, float] = {}
    for one in lines:
        totals[one.category] = totals.get(one.category, 0.0) + one.cost_usd
    return ", ".join(f"{category} {show(total, Usd)}" for category, total in totals.items())


def line(
    category: BomCategory,
    item: str,
    count: int,
    low: float,
    high: float,
    *,
    estimated: bool,
    source: str,
) -> BomLine:
    """Return a line of the bill of materials at the middle of a price range.

    Raises
    ------
    UsageError
        If the range runs backwards or below nothing, which would break every sum above it.
    """
    if not 0 <= low <= high:
        msg = (
            f"price of {item!r} runs from {show(low, Usd)} to {show(high, Usd)}; write "
            "price_low and price_high with 0 <= price_low <= price_high"
        )
        raise UsageError(msg)
    middle = (low + high) / 2
    return BomLine(
        category=category,
        item=item,
        num_items=count,
        unit_price_usd=middle,
        low_usd=count * low,
        cost_usd=count * middle,
        high_usd=count * high,
        estimated=estimated,
        source=source,
    )


def equipment_usd(lines: Sequence[BomLine]) -> float:
    """Return what the equipment costs, without building and services."""
    return sum(one.cost_usd for one in lines if one.category not in {"facility", "services"})
