"""What the supply costs and emits, and what a centre draws on average."""

import math
from dataclasses import dataclass

from clusterwright.errors import UsageError
from clusterwright.units import GramsPerJoule, UsdPerJoule


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """The electricity of a place."""

    price_usd_per_j: UsdPerJoule
    """Average price."""
    carbon_g_per_j: GramsPerJoule
    """Average carbon intensity."""
    source: str
    """Where the two come from."""


def supply_of(
    price_usd_per_j: float, carbon_g_per_j: float, hourly: tuple[float, ...] | None, *, source: str
) -> Supply:
    """Return a supply; with an hourly series, its mean is what a flat load pays.

    Raises
    ------
    UsageError
        If the series has no hours.
    """
    if hourly is not None and not hourly:
        msg = f"the hourly prices of {source} have no hours; give a series or a flat price"
        raise UsageError(msg)
    price = price_usd_per_j if hourly is None else math.fsum(hourly) / len(hourly)
    return Supply(price_usd_per_j=price, carbon_g_per_j=carbon_g_per_j, source=source)


def mean_power_w(max_power_w: float, *, utilization: float, idle: float, busy: float) -> float:
    """Return the average draw of servers: idle share of the time at one level, busy at another.

    Parameters
    ----------
    max_power_w
        Nameplate draw.
    utilization
        Share of the time busy, 0 to 1.
    idle, busy
        Draw in that state as a share of the nameplate.
    """
    return max_power_w * (idle + utilization * (busy - idle))


def energy_j(it_power_w: float, duration_s: float, *, pue: float = 1.0) -> float:
    """Return what a steady IT draw takes from the grid, cooling and losses included.

    A PUE of 1 gives the energy of the IT alone, as papers state it.

    Source: The Green Grid, PUE: facility energy over IT energy.
    """
    return it_power_w * pue * duration_s


def carbon_g(energy_j: float, carbon_g_per_j: float) -> float:
    """Return the CO2e of so much energy from the grid, without what building the parts emitted."""
    return energy_j * carbon_g_per_j
