"""The power and the yearly energy of a facility, with the share of everyone who draws."""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterwright.errors import UsageError
from clusterwright.facility.energy import Supply, carbon_g, energy_j, mean_power_w
from clusterwright.facility.hall import Hall
from clusterwright.model.design import Derivation
from clusterwright.model.facility import Facility, PowerShare
from clusterwright.units import (
    SECONDS_PER_YEAR,
    Fraction,
    GramsPerJoule,
    JoulesPerYear,
    Ratio,
    Watts,
)
from clusterwright.units import (
    format as show,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityNeeds:
    """What the facility has to feed and house."""

    region: str
    """Region of the catalogue."""
    cooling: str
    """Cooling method of the catalogue."""
    pue_ratio: Ratio
    """Facility energy over IT energy."""
    servers: tuple[PowerShare, ...]
    """Servers that follow the utilisation, by pool."""
    others: tuple[PowerShare, ...]
    """What draws the same all the time: tiers, planes, management."""
    compute_pools: tuple[str, ...]
    """Names in `servers` that stand on the compute plane."""
    num_compute_racks: int
    """Racks of those pools."""
    utilization_fraction: Fraction
    """Planned utilisation of the servers."""
    idle_fraction: Fraction
    """Draw of an idle server as a share of its nameplate."""
    busy_fraction: Fraction
    """Draw of a busy server as a share of its nameplate; at least the idle one."""

    def __post_init__(self) -> None:
        """Refuse a facility that draws less than its IT, and servers that draw less when busy."""
        if self.pue_ratio < 1:
            msg = f"pue is {self.pue_ratio:g}; a facility never draws less than its IT: at least 1"
            raise UsageError(msg)
        if not 0 <= self.idle_fraction <= self.busy_fraction <= 1:
            msg = (
                f"idle power is {self.idle_fraction:g} and busy power {self.busy_fraction:g} of "
                "the nameplate; write 0 <= plan.idle_power <= plan.busy_power <= 1"
            )
            raise UsageError(msg)


def assemble(
    needs: FacilityNeeds, hall: Hall, supply: Supply
) -> tuple[Facility, tuple[Derivation, ...]]:
    """Return the facility of a design and how its figures came about."""
    servers_w = _total(needs.servers)
    it_w = servers_w + _total(needs.others)
    mean_w = _total(needs.others) * needs.busy_fraction + mean_power_w(
        servers_w,
        utilization=needs.utilization_fraction,
        idle=needs.idle_fraction,
        busy=needs.busy_fraction,
    )
    facility_w = it_w * needs.pue_ratio
    energy = energy_j(mean_w, SECONDS_PER_YEAR, pue=needs.pue_ratio)
    losses = PowerShare(name="cooling and losses", power_w=facility_w - it_w)
    facility = Facility(
        region=needs.region,
        cooling=needs.cooling,
        num_racks=hall.num_racks,
        num_compute_racks=needs.num_compute_racks,
        groups=hall.groups,
        it_power_w=it_w,
        compute_it_power_w=_total(
            [one for one in needs.servers if one.name in needs.compute_pools]
        ),
        mean_it_power_w=mean_w,
        utilization_fraction=needs.utilization_fraction,
        pue_ratio=needs.pue_ratio,
        facility_power_w=facility_w,
        shares=tuple(one for one in (*needs.servers, *needs.others, losses) if one.power_w > 0),
        energy_j_per_year=energy,
        carbon_g_per_j=supply.carbon_g_per_j,
        carbon_g_per_year=carbon_g(energy, supply.carbon_g_per_j),
        power_price_usd_per_j=supply.price_usd_per_j,
    )
    return facility, _derivations(facility, needs, supply)


def _total(shares: Sequence[PowerShare]) -> float:
    return sum(share.power_w for share in shares)


def _derivations(
    facility: Facility, needs: FacilityNeeds, supply: Supply
) -> tuple[Derivation, ...]:
    racks = ", ".join(
        f"{group.name} {group.num_devices:,} in {group.num_racks:,} (at most {group.num_per_rack})"
        for group in facility.groups
    )
    return (
        Derivation(
            path="spec.facility.num_racks",
            formula=f"racks by power and height: {racks}",
            source="catalogue: servers, switches, storage_systems; site.rack_power",
        ),
        Derivation(
            path="spec.facility.facility_power_w",
            formula=f"{show(facility.it_power_w, Watts)} IT × PUE {facility.pue_ratio:g}",
            source="catalogue: cooling, or the demand",
        ),
        Derivation(
            path="spec.facility.energy_j_per_year",
            formula=(
                f"{show(facility.mean_it_power_w, Watts)} mean IT draw (servers "
                f"{show(needs.utilization_fraction, Fraction)} busy at "
                f"{show(needs.busy_fraction, Fraction)} of the nameplate, else "
                f"{show(needs.idle_fraction, Fraction)}, all else at "
                f"{show(needs.busy_fraction, Fraction)}) × PUE {facility.pue_ratio:g} × 1 year"
            ),
            source="catalogue: defaults",
        ),
        Derivation(
            path="spec.facility.carbon_g_per_year",
            formula=(
                f"{show(facility.energy_j_per_year, JoulesPerYear)} × "
                f"{show(facility.carbon_g_per_j, GramsPerJoule)}"
            ),
            source=supply.source,
        ),
    )
