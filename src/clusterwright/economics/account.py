"""The bill: lines that sum to the capex, lines that sum to the yearly cost, and what follows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.model.design import Derivation
from clusterwright.model.economics import BomLine, CostLine, Economics, Rent
from clusterwright.units import (
    HOURS_PER_YEAR,
    SECONDS_PER_YEAR,
    Fraction,
    Seconds,
    Usd,
    UsdPerYear,
    format as show,
)

_MILLION = 1_000_000


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
    """Return what equal yearly costs are worth today, paid continuously over the years."""
    import math

    if rate <= 0:
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
    return (
        Derivation(
            path="spec.economics.capex_usd",
            formula=f"sum of {len(economics.bom)} lines of the bill of materials",
            source="catalogue: prices in the middle of their known range",
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
    )


def line(
    category: str,
    item: str,
    count: int,
    low: float,
    high: float,
    *,
    estimated: bool,
    source: str,
) -> BomLine:
    """Return a line of the bill of materials at the middle of a price range."""
    middle = (low + high) / 2
    return BomLine(
        category=category,  # type: ignore[arg-type]  # checked by the noun's readers
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
