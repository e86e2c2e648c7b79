"""The worked case (chapter-13) comes out as its source and the published reference design say.

Source of the fabric counts: NVIDIA DGX SuperPOD reference architecture H100, RA-11333-001 V11, four
scalable units without UFM ports. Source of the rest: chapter-13, sections 13.3 to 13.5.
"""

import pytest


@pytest.fixture(params=["worked_case", "by_deadline"], ids=["pool stated", "deadline decides"])
def design(request):
    return request.getfixturevalue(request.param)


def training_pool(design):
    return next(pool for pool in design.spec.compute.pools if pool.role == "training")


def test_1024_training_accelerators_stand_in_128_servers(design):
    pool = training_pool(design)
    assert (pool.num_accelerators, pool.num_servers) == (1024, 128)
    assert pool.accelerator == "H100-SXM5-80GB"


def test_four_servers_stand_in_each_of_32_compute_racks(design):
    assert training_pool(design).servers_per_rack == 4
    assert design.spec.facility.num_compute_racks == 32


def test_tp8_pp4_dp32_is_among_the_strategies(design):
    shown = {(one.tp, one.pp, one.dp) for one in design.spec.compute.strategies}
    assert (8, 4, 32) in shown


def test_the_lake_stores_at_1_375_bytes_for_one_and_survives_three_losses(design):
    lake = next(tier for tier in design.spec.storage.tiers if tier.name == "lake")
    assert lake.scheme == "ec 8+3"
    assert lake.overhead_ratio == 1.375
    assert lake.num_servers >= 11  # one host for each chunk


def test_the_compute_fabric_has_32_leaves_and_16_spines_with_1024_cables_each_way(design):
    plane = design.spec.fabric.planes.compute
    assert (plane.num_leaf, plane.num_spine, plane.num_core) == (32, 16, 0)
    assert (plane.num_node_leaf_cables, plane.num_leaf_spine_cables) == (1024, 1024)
    assert plane.switch == "QM9700"
    assert plane.oversubscription_ratio == 1


def test_the_compute_servers_draw_1306_kilowatts(design):
    # 128 x 10.2 kW, the nameplate of the DGX H100 datasheet.
    assert design.spec.facility.compute_it_power_w == pytest.approx(1_305_600, rel=1e-9)


def test_the_model_is_trained_in_two_weeks(design):
    assert design.status.feasible
    chosen = next(one for one in design.spec.compute.strategies if one.chosen)
    assert chosen.duration_s <= 14 * 86400


def test_the_report_data_says_where_the_source_and_vendors_differ(worked_case):
    differs = {one.what: one for one in worked_case.spec.deviations if not one.agrees}
    for about in ("fabric manager", "out-of-band", "exabyte", "fabric switches"):
        found = [one for what, one in differs.items() if about in what]
        assert found, about
        assert all(one.published and one.source for one in found)
