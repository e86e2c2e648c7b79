"""Racks, power, cooling and energy."""

from clusterwright.facility.energy import Supply, carbon_g, energy_j, mean_power_w, supply_of
from clusterwright.facility.hall import Hall, lay_out, servers_per_rack
from clusterwright.facility.power import FacilityNeeds, assemble

__all__ = [
    "FacilityNeeds",
    "Hall",
    "Supply",
    "assemble",
    "carbon_g",
    "energy_j",
    "lay_out",
    "mean_power_w",
    "servers_per_rack",
    "supply_of",
]
