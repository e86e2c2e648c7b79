"""The hall: racks filled within power and height, each in one place, switches in the middle."""

import time
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwright.errors import UsageError
from clusterwright.facility import Hall, lay_out, servers_per_rack
from clusterwright.model.facility import RackGroup, RackKind
from clusterwright.units import Watts, parse

WIDTH, PITCH, PER_ROW = 0.8, 3.0, 16


def group(
    name: str, kind: RackKind, num_devices: int, *, per_rack: int = 4, units: int = 8
) -> RackGroup:
    return RackGroup(
        name=name,
        kind=kind,
        part="part",
        device=name,
        num_devices=num_devices,
        num_per_rack=per_rack,
        num_units=units,
        device_power_w=10_200.0,
        limit_w=45_000.0,
    )


def stand(groups: Iterable[RackGroup]) -> Hall:
    return lay_out(tuple(groups), racks_per_row=PER_ROW, rack_width=WIDTH, row_pitch=PITCH)


# sentence: (server power, server units, rack power, servers in a rack, source)
FILLINGS = {
    "four 8-way H100 servers in 45 kW": (10_200, 8, 45_000, 4, "RA-11333-001; claim S3-03"),
    "four of them in exactly their power": (10_200, 8, 40_800, 4, "claim S3-03: 40.8 kW per rack"),
    "three of them in a watt less": (10_200, 8, 40_799, 3, "arithmetic"),
    "three B200 servers in 45 kW": (14_300, 10, 45_000, 3, "DGX B200: 14.3 kW; arithmetic"),
    "height binds before power": (500, 8, 45_000, 6, "48 units / 8"),
    "none where one alone is too much": (120_000, 48, 45_000, 0, "GB200 NVL72 on 45 kW"),
    "three of 1.34 kW in what is written as 4.02 kW": (
        parse("1.34 kW", Watts),
        1,
        parse("4.02 kW", Watts),
        3,
        "3 × 1.34 = 4.02, which floats miss by 5e-13",
    ),
}


@pytest.mark.parametrize("case", FILLINGS)
def test_a_rack_takes_what_power_and_height_allow(case: str) -> None:
    power, units, rack_power, servers, _ = FILLINGS[case]
    assert servers_per_rack(power, units, rack_power_w=rack_power, rack_units=48) == servers


@given(
    power=st.floats(100, 150_000),
    units=st.integers(1, 48),
    rack_power=st.floats(1_000, 150_000),
    rack_units=st.integers(1, 52),
)
def test_a_rack_is_never_too_full_and_never_holds_one_too_few(
    power: float, units: int, rack_power: float, rack_units: int
) -> None:
    count = servers_per_rack(power, units, rack_power_w=rack_power, rack_units=rack_units)
    assert count * units <= rack_units
    assert count * power <= rack_power * (1 + 1e-8)
    more = count + 1
    assert more * units > rack_units or more * power > rack_power


def test_1024_accelerators_take_32_compute_racks() -> None:
    # Claim S3-03 and RA-11333-001: 128 servers, four in a rack.
    assert group("training", "compute", 128).num_racks == 32


_kinds: st.SearchStrategy[RackKind] = st.sampled_from(
    ["compute", "network", "service", "storage", "management"]
)
_groups = st.lists(
    st.tuples(_kinds, st.integers(0, 400), st.integers(1, 12)), min_size=0, max_size=8
).map(
    lambda rows: [
        group(f"{kind}-{number}", kind, devices, per_rack=per_rack, units=4)
        for number, (kind, devices, per_rack) in enumerate(rows)
    ]
)


@settings(deadline=None)
@given(groups=_groups)
def test_every_rack_has_one_place_and_every_place_one_rack(groups: list[RackGroup]) -> None:
    hall = stand(groups)
    assert hall.num_racks == sum(one.num_racks for one in groups)
    assert sorted(hall.place) == list(range(hall.num_racks))
    assert len({(x, y) for x, y in zip(hall.x_m, hall.y_m, strict=True)}) == hall.num_racks
    racks = list(hall.racks())
    assert len({(rack.row, rack.position) for rack in racks}) == hall.num_racks
    assert len({rack.name for rack in racks}) == hall.num_racks


@settings(deadline=None)
@given(groups=_groups)
def test_racks_never_overlap(groups: list[RackGroup]) -> None:
    hall = stand(groups)
    for row in np.unique(hall.y_m):
        along = np.sort(hall.x_m[hall.y_m == row])
        assert (np.diff(along) >= WIDTH - 1e-9).all()
    assert (np.diff(np.unique(hall.y_m)) >= PITCH - 1e-9).all()


@settings(deadline=None)
@given(groups=_groups)
def test_every_device_stands_in_a_rack_once_without_overlap(groups: list[RackGroup]) -> None:
    devices: list[str] = []
    for rack in stand(groups).racks():
        top = 0
        for item in rack.items:
            assert item.lowest_unit > top
            top = item.lowest_unit + item.num_units - 1
            devices.append(item.device)
        assert rack.power_w == pytest.approx(sum(item.power_w for item in rack.items))
    assert len(devices) == len(set(devices)) == sum(one.num_devices for one in groups)


@settings(deadline=None)
@given(groups=_groups)
def test_the_rack_of_a_device_by_arithmetic_is_the_one_it_is_listed_in(
    groups: list[RackGroup],
) -> None:
    hall = stand(groups)
    listed = {item.device: (rack.x_m, rack.y_m) for rack in hall.racks() for item in rack.items}
    for one in hall.groups:
        racks = hall.rack_of(one, np.arange(one.num_devices))
        for device, rack in enumerate(racks):
            place = (hall.x_m[rack], hall.y_m[rack])
            assert listed[f"{one.device}-{device + 1:03d}"] == place


@settings(deadline=None)
@given(groups=_groups)
def test_a_hall_drawn_again_from_its_own_groups_is_the_same(groups: list[RackGroup]) -> None:
    hall = stand(groups)
    again = stand(hall.groups)
    assert again.groups == hall.groups
    assert dict(again.first_rack) == dict(hall.first_rack)
    assert (again.x_m == hall.x_m).all()
    assert (again.y_m == hall.y_m).all()


def test_the_switches_stand_in_the_middle_of_what_they_connect() -> None:
    hall = stand([group("training", "compute", 2048), group("leaf", "network", 60, per_rack=10)])
    compute, network = (
        np.arange(hall.first_rack[name], hall.first_rack[name] + count)
        for name, count in (("training", 512), ("leaf", 6))
    )
    middle_x, middle_y = hall.x_m[network].mean(), hall.y_m[network].mean()
    farthest = np.abs(hall.x_m[compute] - middle_x) + np.abs(hall.y_m[compute] - middle_y)
    width, depth = np.ptp(hall.x_m), np.ptp(hall.y_m)
    # From the middle of a rectangle no corner is farther than half its girth; from an end one is.
    assert farthest.max() <= 0.6 * (width + depth)


def test_a_large_hall_is_about_square() -> None:
    hall = stand([group("training", "compute", 12_500)])
    assert 0.6 < np.ptp(hall.x_m) / np.ptp(hall.y_m) < 1.7


def test_a_small_hall_is_one_block_of_rows() -> None:
    hall = stand([group("training", "compute", 128)])
    assert np.ptp(hall.x_m) == pytest.approx((PER_ROW - 1) * WIDTH)
    assert set(np.unique(hall.y_m)) == {1.5, 4.5}


def test_100000_accelerators_are_laid_out_within_a_second() -> None:
    groups = [
        group("training", "compute", 12_500),
        group("compute-network", "network", 4_000, per_rack=11, units=1),
        group("lake", "storage", 2_000, per_rack=12, units=4),
    ]
    start = time.perf_counter()
    hall = stand(groups)
    racks = hall.rack_of(hall.groups[0], np.arange(12_500))
    taken = time.perf_counter() - start
    assert hall.x_m[racks].size == 12_500
    assert taken < 1.0


def test_two_groups_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="'lake'"):
        stand([group("lake", "storage", 4), group("lake", "service", 4)])


def test_an_empty_hall_is_empty() -> None:
    assert stand([group("training", "compute", 0)]).num_racks == 0
