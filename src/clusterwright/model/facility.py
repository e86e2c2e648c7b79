"""Racks, power, cooling and energy of a design."""

import math
from dataclasses import dataclass
from typing import Literal

from clusterwright.units import (
    Fraction,
    GramsPerJoule,
    GramsPerYear,
    JoulesPerYear,
    Metres,
    Ratio,
    UsdPerJoule,
    Watts,
)

RackKind = Literal["compute", "network", "service", "storage", "management"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RackItem:
    """One device in a rack."""

    device: str
    """Name of the device, such as `training-001` or `compute-leaf-004`."""
    part: str
    """Part of the catalogue."""
    lowest_unit: int
    """Lowest rack unit that it takes, counted from 1."""
    num_units: int
    """Rack units that it takes."""
    power_w: Watts
    """What it draws at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """One rack with what stands in it, and its place in the hall."""

    name: str
    """Name, such as `training-rack-001`."""
    kind: RackKind
    """What stands in it."""
    row: int
    """Row in the hall, counted from 1."""
    position: int
    """Position in the row, counted from 1."""
    x_m: Metres
    """Distance of its middle from the left wall."""
    y_m: Metres
    """Distance of its middle from the front wall."""
    items: tuple[RackItem, ...]
    """Devices from the bottom up."""
    power_w: Watts
    """What its devices draw at most."""
    limit_w: Watts
    """What it can be fed and cooled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RackGroup:
    """Racks that hold devices of one kind; `facility.lay_out` says where they stand."""

    name: str
    """Prefix of the racks' names, such as `training`."""
    kind: RackKind
    """What stands in them."""
    part: str
    """Part of the catalogue."""
    device: str
    """Prefix of the devices' names."""
    num_devices: int
    """Devices in all racks of the group."""
    num_per_rack: int
    """Devices in a full rack."""
    num_units: int
    """Rack units of one device."""
    device_power_w: Watts
    """What one device draws at most."""
    limit_w: Watts
    """What one rack can be fed and cooled."""

    @property
    def num_racks(self) -> int:
        """Racks of the group."""
        return math.ceil(self.num_devices / self.num_per_rack)

    @property
    def fullest_power_w(self) -> float:
        """What the fullest rack draws at most."""
        return min(self.num_per_rack, self.num_devices) * self.device_power_w


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerShare:
    """One part of the power."""

    name: str
    """Who draws it: a pool, a tier, a network plane, management, cooling and losses."""
    power_w: Watts
    """What it draws at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """The facility part of a design."""

    region: str
    """Region of the catalogue."""
    cooling: str
    """Cooling method of the catalogue."""
    num_racks: int
    """Racks in all."""
    num_compute_racks: int
    """Racks of the pools on the compute plane."""
    groups: tuple[RackGroup, ...]
    """Racks by what stands in them, in the order in which they are numbered."""
    it_power_w: Watts
    """What all IT draws at most, by nameplate."""
    compute_it_power_w: Watts
    """What the servers of the pools on the compute plane draw at most, by nameplate."""
    mean_it_power_w: Watts
    """What all IT draws on average at the planned utilisation."""
    utilization_fraction: Fraction
    """Planned utilisation of the accelerators."""
    pue_ratio: Ratio
    """Facility energy over IT energy."""
    facility_power_w: Watts
    """What the facility draws at most."""
    shares: tuple[PowerShare, ...]
    """Parts of `facility_power_w`; they sum to it."""
    energy_j_per_year: JoulesPerYear
    """Energy of a year, at the mean draw."""
    carbon_g_per_j: GramsPerJoule
    """Carbon intensity of the supply."""
    carbon_g_per_year: GramsPerYear
    """CO2e of a year's energy."""
    power_price_usd_per_j: UsdPerJoule
    """Average price of the energy."""
