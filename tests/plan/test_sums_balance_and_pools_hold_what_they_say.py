"""Energy, money, power, racks and GPU-hours balance in every example."""

import math

import pytest

from clusterwright import documents, plan
from clusterwright.model.design import Design
from clusterwright.units import SECONDS_PER_HOUR, SECONDS_PER_YEAR


def test_the_bill_of_materials_sums_to_the_capex(any_design):
    money = any_design.spec.economics
    for total, name in (
        (money.capex_usd, "cost_usd"),
        (money.capex_low_usd, "low_usd"),
        (money.capex_high_usd, "high_usd"),
    ):
        assert math.fsum(getattr(line, name) for line in money.bom) == pytest.approx(total)
    assert money.capex_low_usd <= money.capex_usd <= money.capex_high_usd


def test_the_running_costs_sum_to_the_opex_and_the_tco(any_design):
    money = any_design.spec.economics
    opex = math.fsum(line.cost_usd_per_year for line in money.running)
    assert opex == pytest.approx(money.opex_usd_per_year)
    years = money.depreciation_s / SECONDS_PER_YEAR
    assert money.tco_usd == pytest.approx(money.capex_usd + years * money.opex_usd_per_year)


def test_the_power_shares_sum_to_the_facility(any_design):
    house = any_design.spec.facility
    assert math.fsum(share.power_w for share in house.shares) == pytest.approx(
        house.facility_power_w
    )
    assert house.facility_power_w == pytest.approx(house.it_power_w * house.pue_ratio)
    assert house.mean_it_power_w <= house.it_power_w
    energy = house.mean_it_power_w * house.pue_ratio * SECONDS_PER_YEAR
    assert house.energy_j_per_year == pytest.approx(energy)
    assert house.carbon_g_per_year == pytest.approx(energy * house.carbon_g_per_j)


def test_accelerator_hours_are_accelerators_times_wall_time(any_design):
    for one in any_design.spec.compute.strategies:
        hours = one.num_accelerators * one.duration_s / SECONDS_PER_HOUR
        assert one.accelerator_hours == pytest.approx(hours)
        assert one.num_accelerators == one.tp * one.pp * one.dp * one.cp
        assert 0 < one.mfu_fraction <= 1


def test_racks_of_groups_sum_to_the_hall_and_none_is_over_its_limit(any_design):
    house = any_design.spec.facility
    assert sum(group.num_racks for group in house.groups) == house.num_racks
    for group in house.groups:
        assert group.fullest_power_w <= group.limit_w * (1 + 1e-9), group.name
        assert group.num_per_rack * group.num_units <= 48, group.name


def test_every_cable_of_a_plane_is_counted_among_its_parts(any_design):
    for name in ("compute", "storage", "management"):
        plane = getattr(any_design.spec.fabric.planes, name)
        cables = (
            plane.num_node_leaf_cables + plane.num_leaf_spine_cables + plane.num_spine_core_cables
        )
        assert sum(link.num_links for link in plane.links) == cables


def test_the_cable_list_has_every_cable_once_and_no_port_twice(worked_case, parts):
    cables = list(plan.cables(worked_case, parts))
    planes = worked_case.spec.fabric.planes
    for name in ("compute", "storage", "management"):
        plane = getattr(planes, name)
        mine = [cable for cable in cables if cable.plane == name]
        assert len(mine) == (
            plane.num_node_leaf_cables + plane.num_leaf_spine_cables + plane.num_spine_core_cables
        )
        ends = [(cable.from_device, cable.from_port) for cable in mine]
        ends += [(cable.to_device, cable.to_port) for cable in mine]
        assert len(set(ends)) == len(ends)
    assert len({cable.cable_id for cable in cables}) == len(cables)


def test_a_design_survives_writing_and_reading(any_design):
    assert documents.read(documents.dump(any_design), Design) == any_design
    assert documents.read(documents.dump(any_design, format="json"), Design) == any_design


def test_the_same_demand_gives_the_same_bytes(any_demand, parts):
    first = documents.dump(plan.plan(any_demand, parts))
    assert documents.dump(plan.plan(any_demand, parts)) == first


def test_the_exposed_parts_of_a_step_sum_to_it_and_only_messages_are_hidden(any_design):
    for one in any_design.spec.compute.strategies:
        assert one.parts
        exposed_s = sum(part.time_s for part in one.parts if part.exposed)
        assert exposed_s == pytest.approx(one.step_time_s, rel=1e-9)
        assert all(part.time_s > 0 for part in one.parts)
        assert {part.name for part in one.parts if not part.exposed} <= {"hidden messages"}
