"""What a design costs to build, to run and to own, and what renting would cost."""

from dataclasses import dataclass
from typing import Literal

from clusterwright.units import (
    Fraction,
    Ratio,
    Seconds,
    Usd,
    UsdPerAcceleratorHour,
    UsdPerMillionTokens,
    UsdPerYear,
)

BomCategory = Literal["compute", "network", "storage", "management", "rack", "facility", "services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BomLine:
    """One line of the bill of materials."""

    category: BomCategory
    """Which part of the design it belongs to."""
    item: str
    """Part of the catalogue, or what is paid for."""
    num_items: int
    """How many."""
    unit_price_usd: Usd
    """Price of one, the middle of the known range."""
    low_usd: Usd
    """Cost of the line at the low end of the range."""
    cost_usd: Usd
    """Cost of the line."""
    high_usd: Usd
    """Cost of the line at the high end of the range."""
    estimated: bool
    """True when the price is an estimate."""
    source: str
    """Where the price comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One kind of yearly cost."""

    name: str
    """What is paid: energy, staff, maintenance, licences, space."""
    cost_usd_per_year: UsdPerYear
    """What a year costs."""
    source: str
    """Where the figure comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """What renting the same accelerators would cost."""

    offer: str
    """Cloud offer of the catalogue; empty when none is known for the accelerator."""
    offer_usd_per_accelerator_hour: UsdPerAcceleratorHour
    """Its price."""
    rent_usd: Usd
    """Renting for the life of the equipment at the planned utilisation."""
    build_usd: Usd
    """Building and running the same time what the rent covers: no storage, no CPU servers."""
    break_even_ratio: Ratio
    """Utilisation above which building is cheaper; above 1, renting always is."""
    cheaper: Literal["build", "rent"]
    """Which is cheaper at the planned utilisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """The money of a design."""

    capex_usd: Usd
    """What building costs."""
    capex_low_usd: Usd
    """Building with every price at the low end of its range."""
    capex_high_usd: Usd
    """Building with every price at the high end of its range."""
    opex_usd_per_year: UsdPerYear
    """What a year of running costs, depreciation not counted."""
    tco_usd: Usd
    """Building, and running for the depreciation time."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """Total cost over the accelerator-hours that exist in the depreciation time."""
    usd_per_million_tokens: UsdPerMillionTokens | None = None
    """Cost of training on a million tokens of the main campaign; absent when nothing trains."""
    depreciation_s: Seconds
    """Life of the equipment."""
    utilization_fraction: Fraction
    """Share of the accelerator-hours that the demand uses."""
    bom: tuple[BomLine, ...]
    """Lines that sum to the capex."""
    running: tuple[CostLine, ...]
    """Lines that sum to the opex."""
    rent: Rent | None = None
    """Comparison with renting; absent when there is no accelerator."""
