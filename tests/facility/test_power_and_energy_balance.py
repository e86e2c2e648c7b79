"""Power, energy and carbon: shares that sum, published arithmetic, and bounds of any centre."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright import catalog
from clusterwright.errors import UsageError
from clusterwright.facility import (
    FacilityNeeds,
    Supply,
    assemble,
    carbon_g,
    energy_j,
    lay_out,
    mean_power_w,
    supply_of,
)
from clusterwright.model.facility import PowerShare
from clusterwright.units import (
    GRAMS_PER_TONNE,
    JOULES_PER_KWH,
    SECONDS_PER_HOUR,
    SECONDS_PER_YEAR,
)

HALL = lay_out((), racks_per_row=16, rack_width=0.8, row_pitch=3.0)
PARTS = catalog.load()
MWH = 1000 * JOULES_PER_KWH
SUPPLY = Supply(
    price_usd_per_j=0.10 / JOULES_PER_KWH, carbon_g_per_j=400 / JOULES_PER_KWH, source="test"
)


def needs_for(servers_w: float, *, pue: float = 1.5, others_w: float = 0.0) -> FacilityNeeds:
    """Return a facility whose servers always draw their nameplate."""
    return FacilityNeeds(
        region="test",
        cooling="air",
        pue_ratio=pue,
        servers=(PowerShare(name="training", power_w=servers_w),),
        others=(PowerShare(name="compute plane", power_w=others_w),),
        compute_pools=("training",),
        num_compute_racks=0,
        utilization_fraction=1.0,
        idle_fraction=1.0,
        busy_fraction=1.0,
    )


# sentence: (accelerator-hours, watts, energy in MWh, tolerance, source, why that tolerance)
ACCELERATOR_ENERGY = {
    "Llama 3.1 family": (39.3e6, 700, 27_500, 0.001,
        "Llama 3.1 model card: 39.3 M H100-hours at 700 W", "27.51 GWh printed as 27.5"),
    "BLOOM": (1_082_990, 400, 433.196, 1e-6,
        "Luccioni et al. 2022, arXiv 2211.02001", "exact product; printed to the kilowatt-hour"),
    "heat of 10,000 H100 for an hour": (10_000, 700, 7, 0,
        "claim S2-54: 7 MW", "exact"),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCELERATOR_ENERGY)
def test_accelerator_hours_take_their_published_energy(case: str) -> None:
    hours, watts, megawatt_hours, tolerance, *_ = ACCELERATOR_ENERGY[case]
    energy = energy_j(watts, hours * SECONDS_PER_HOUR)
    assert energy / MWH == pytest.approx(megawatt_hours, rel=tolerance or 1e-12)


# sentence: (energy in MWh, g/kWh, tonnes, tolerance, source, why that tolerance)
EMISSIONS = {
    "GPT-3": (1_287, 429, 552, 0.001,
        "Patterson et al. 2021, arXiv 2104.10350", "552.1 t printed as 552"),
    "BLOOM, dynamic": (433.196, 57, 24.69, 0.0005,
        "Luccioni et al. 2022, arXiv 2211.02001", "24.692 t printed as 24.69"),
    "a day of ChatGPT": (500, 400, 200, 0,
        "claim S2-67", "exact"),
    "a year of 100 MW on the world's grid": (876_000, 458.3, 401_470, 0.0001,
        "OWID 2025: 458.3 g/kWh", "arithmetic; the claim's own 412,000 t takes 900,000 MWh"),
}  # fmt: skip


@pytest.mark.parametrize("case", EMISSIONS)
def test_energy_emits_its_published_carbon(case: str) -> None:
    megawatt_hours, intensity, tonnes, tolerance, *_ = EMISSIONS[case]
    grams = carbon_g(megawatt_hours * MWH, intensity / JOULES_PER_KWH)
    assert grams / GRAMS_PER_TONNE == pytest.approx(tonnes, rel=tolerance or 1e-12)


# sentence: (8-way H100 servers, PUE, IT in MW, facility in MW, tolerance, source, why)
SERVER_POWER = {
    "1,024 accelerators": (128, 1.0, 1.3056, 1.3056, 1e-12,
        "claims S3-04, S1-01: 128 × 10.2 kW", "exact"),
    "1,000 accelerators": (125, 1.5, 1.275, 1.91, 0.002,
        "claim S2-50", "1.9125 printed as 1.91"),
    "10,000 accelerators": (1250, 1.5, 12.75, 19.1, 0.002,
        "claim S2-53", "19.125 printed as 19.1"),
}  # fmt: skip


@pytest.mark.parametrize("case", SERVER_POWER)
def test_servers_draw_what_arithmetic_on_the_datasheet_gives(case: str) -> None:
    servers, pue, it, facility, tolerance, *_ = SERVER_POWER[case]
    each = PARTS.server("HGX-H100").max_power_w
    drawn, _ = assemble(needs_for(servers * each, pue=pue), HALL, SUPPLY)
    assert drawn.it_power_w / 1e6 == pytest.approx(it, rel=1e-12)
    assert drawn.compute_it_power_w == drawn.it_power_w
    assert drawn.facility_power_w / 1e6 == pytest.approx(facility, rel=tolerance)


# sentence: (facility MW, energy in GWh, cost in USD, tolerance, source, why that tolerance)
YEARLY_ENERGY = {
    "one megawatt": (1.0, 8.76, 876_000, 1e-12, "claims S2-51, S2-52", "exact"),
    "a hundred megawatts": (100.0, 876, 87.6e6, 1e-12, "claim S2-42", "exact"),
    "1,000 accelerators in whole servers": (1.9125, 16.7535, 1.675e6, 0.0005,
        "claim S2-52", "1.67535 M printed as 1.675 M"),
}  # fmt: skip


@pytest.mark.parametrize("case", YEARLY_ENERGY)
def test_a_year_takes_the_energy_and_money_that_arithmetic_gives(case: str) -> None:
    megawatts, gigawatt_hours, usd, tolerance, *_ = YEARLY_ENERGY[case]
    drawn, _ = assemble(needs_for(megawatts * 1e6, pue=1.0), HALL, SUPPLY)
    assert drawn.energy_j_per_year / MWH / 1000 == pytest.approx(gigawatt_hours, rel=tolerance)
    paid = drawn.energy_j_per_year * drawn.power_price_usd_per_j
    assert paid == pytest.approx(usd, rel=tolerance)


def test_the_planned_pue_of_each_cooling_lies_within_what_is_published() -> None:
    # Claims S2-55 and S2-56: air 1.52 to 1.58 on average and 1.4 to 1.6 by design; liquid as the
    # hyperscale fleets, 1.08 to 1.16, and 1.1 to 1.2 by design.
    for name, low, high in (("air", 1.4, 1.6), ("liquid", 1.08, 1.2)):
        cooling = PARTS.cooling[name]
        assert low <= cooling.pue_low_ratio <= cooling.pue_ratio <= cooling.pue_high_ratio <= high


_watts = st.floats(0, 1e9)
_shares = st.lists(_watts, max_size=6).map(
    lambda powers: tuple(
        PowerShare(name=f"share-{number}", power_w=power) for number, power in enumerate(powers)
    )
)
_fraction = st.floats(0, 1)
_needs = st.builds(
    lambda servers, others, pue, utilization, idle, more: FacilityNeeds(
        region="test",
        cooling="air",
        pue_ratio=pue,
        servers=servers,
        others=others,
        compute_pools=("share-0",),
        num_compute_racks=0,
        utilization_fraction=utilization,
        idle_fraction=idle,
        busy_fraction=idle + (1 - idle) * more,
    ),
    _shares, _shares, st.floats(1, 2.5), _fraction, _fraction, _fraction,
)  # fmt: skip


@given(needs=_needs)
def test_the_shares_sum_to_the_facility_power(needs: FacilityNeeds) -> None:
    drawn, _ = assemble(needs, HALL, SUPPLY)
    total = math.fsum(share.power_w for share in drawn.shares)
    assert total == pytest.approx(drawn.facility_power_w, rel=1e-9)
    assert drawn.it_power_w <= drawn.facility_power_w * (1 + 1e-12)


@given(needs=_needs)
def test_nobody_draws_more_on_average_than_at_most(needs: FacilityNeeds) -> None:
    drawn, _ = assemble(needs, HALL, SUPPLY)
    assert 0 <= drawn.mean_it_power_w <= drawn.it_power_w * (1 + 1e-12)
    most = drawn.facility_power_w * SECONDS_PER_YEAR
    assert drawn.energy_j_per_year <= most * (1 + 1e-12)


@given(needs=_needs)
def test_a_year_takes_the_mean_draw_with_cooling_and_losses(needs: FacilityNeeds) -> None:
    drawn, _ = assemble(needs, HALL, SUPPLY)
    mean_w = drawn.energy_j_per_year / SECONDS_PER_YEAR
    assert mean_w == pytest.approx(drawn.mean_it_power_w * drawn.pue_ratio)


@given(needs=_needs, more=_fraction)
def test_more_work_never_takes_less_energy(needs: FacilityNeeds, more: float) -> None:
    used = needs.utilization_fraction
    busier = replace(needs, utilization_fraction=used + (1 - used) * more)
    before, _ = assemble(needs, HALL, SUPPLY)
    after, _ = assemble(busier, HALL, SUPPLY)
    assert after.energy_j_per_year >= before.energy_j_per_year * (1 - 1e-12)
    assert after.facility_power_w == before.facility_power_w


@given(needs=_needs, factor=st.floats(1, 10))
def test_energy_and_carbon_grow_in_step_with_power(needs: FacilityNeeds, factor: float) -> None:
    def scaled(shares: tuple[PowerShare, ...]) -> tuple[PowerShare, ...]:
        return tuple(replace(one, power_w=one.power_w * factor) for one in shares)

    larger = replace(needs, servers=scaled(needs.servers), others=scaled(needs.others))
    before, _ = assemble(needs, HALL, SUPPLY)
    after, _ = assemble(larger, HALL, SUPPLY)
    assert after.energy_j_per_year == pytest.approx(factor * before.energy_j_per_year)
    assert after.carbon_g_per_year == pytest.approx(factor * before.carbon_g_per_year)
    assert before.carbon_g_per_year == pytest.approx(
        before.energy_j_per_year * before.carbon_g_per_j
    )


@given(idle=_fraction, more=_fraction, power=_watts)
def test_the_mean_draw_lies_between_idle_and_busy(idle: float, more: float, power: float) -> None:
    busy = idle + (1 - idle) * more
    nothing = mean_power_w(power, utilization=0.0, idle=idle, busy=busy)
    everything = mean_power_w(power, utilization=1.0, idle=idle, busy=busy)
    assert nothing == pytest.approx(idle * power)
    assert everything == pytest.approx(busy * power)


def test_a_pue_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.9"):
        needs_for(1.0, pue=0.9)


def test_servers_that_draw_less_when_busy_are_refused() -> None:
    with pytest.raises(UsageError, match="idle"):
        replace(needs_for(1.0), idle_fraction=0.8, busy_fraction=0.5)


def test_hourly_prices_cost_a_flat_load_their_mean() -> None:
    supply = supply_of(1.0, 2.0, (0.1, -0.1, 0.3), source="test")
    assert supply.price_usd_per_j == pytest.approx(0.1)


def test_a_flat_price_is_taken_as_it_is() -> None:
    assert supply_of(1.0, 2.0, None, source="test").price_usd_per_j == 1.0


def test_hourly_prices_without_hours_are_refused() -> None:
    with pytest.raises(UsageError, match="no hours"):
        supply_of(1.0, 2.0, (), source="test")


@pytest.mark.parametrize("zone", sorted(PARTS.series))
def test_the_shipped_series_cover_a_year_and_their_mean_is_plausible(zone: str) -> None:
    series = PARTS.series[zone]
    assert len(series.price_usd_per_j) == len(series.carbon_g_per_j) == 8760
    mean = supply_of(0.0, 0.0, series.price_usd_per_j, source=zone).price_usd_per_j
    # Wholesale means of 2023 lie between 0.01 and 0.20 USD/kWh in every zone of the collection.
    assert 0.01 < mean * JOULES_PER_KWH < 0.20


def test_every_figure_of_weight_is_explained() -> None:
    _, derivations = assemble(needs_for(1e6), HALL, SUPPLY)
    assert {one.path for one in derivations} == {
        "spec.facility.num_racks",
        "spec.facility.facility_power_w",
        "spec.facility.energy_j_per_year",
        "spec.facility.carbon_g_per_year",
    }
