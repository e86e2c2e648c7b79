"""The counting rule against every stated count of the published DGX SuperPOD tables.

Source: NVIDIA DGX SuperPOD reference architectures for A100 (RA-09950-001), H100 (RA-11333-001),
B200, B300 Ethernet and B300 XDR. Tolerance: none, counts are exact. Empty: the table does not say.
"""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.conftest import ROOT

from clusterwright import catalog, fabric
from clusterwright.errors import InvalidInput, UsageError
from clusterwright.fabric import fat_tree, wiring
from clusterwright.model.network import Attachment

COUNTS = ("leaf", "spine", "core", "node_leaf_cables", "leaf_spine_cables", "spine_core_cables")
GOLDEN = """\
id,gpus,leaf,spine,core,node_leaf_cables,leaf_spine_cables,spine_core_cables,planes,radix_per_plane,switch_ports,ufm_included
H100-L-4,1024,32,16,,1024,1024,,1,64,64,no
H100-L-16,4096,128,128,64,4096,4096,4096,1,64,64,no
H100-L-64,16384,512,512,256,16384,16384,16384,1,64,64,no
B200-L-2,512,16,8,,512,512,,1,64,64,no
H100-U-1,248,8,4,,252,256,,1,64,64,yes
H100-U-3,760,24,16,,764,768,,1,64,64,yes
H100-U-4,1016,32,16,,1020,1024,,1,64,64,yes
B300E-L-1,512,16,8,,512,512,,2,128,64,no
B300E-L-2,1024,32,16,,1024,1024,,2,128,64,no
B300E-L-8,4096,128,64,,4096,4096,,2,128,64,no
B300X-L-1,576,8,4,,576,576,,1,144,144,no
B300X-L-2,1152,16,8,,1152,1152,,1,144,144,no
B300X-L-8,4608,64,36,,4608,4608,,1,144,144,no
A100-7SU,1120,56,,,,,,1,40,40,
"""


def met(rows):
    for row in fabric.estimate_rows(rows):
        for count in COUNTS:
            if row[count]:
                assert row[f"predicted_{count}"] == row[count], (row["id"], count)


def test_the_golden_copy_is_met_exactly():
    met(list(csv.DictReader(io.StringIO(GOLDEN))))


def test_the_whole_published_table_is_met_exactly():
    table = ROOT.parent / "shared/reference/superpod.csv"
    if not table.exists():
        pytest.skip("the published tables are not beside the repository")
    met(list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8")))))


def test_answers_are_never_read_as_inputs():
    rows = list(csv.DictReader(io.StringIO(GOLDEN)))
    wrong = [{**row, **dict.fromkeys(COUNTS, "7")} for row in rows]
    for row, other in zip(fabric.estimate_rows(rows), fabric.estimate_rows(wrong), strict=True):
        for count in COUNTS:
            assert row[f"predicted_{count}"] == other[f"predicted_{count}"]


ENDPOINTS = st.integers(min_value=1, max_value=20_000)
RADIX = st.sampled_from([32, 40, 48, 64, 128, 144])


def possible(endpoints, radix):
    return endpoints <= fabric.most_endpoints(radix)


@given(ENDPOINTS, RADIX)
def test_ports_suffice_and_uplinks_equal_downlinks(endpoints, radix):
    if not possible(endpoints, radix):
        return
    tree = fat_tree(endpoints, radix)
    assert tree.num_leaf * tree.num_down_ports >= endpoints
    assert (tree.num_leaf - 1) * tree.num_down_ports < endpoints
    if tree.levels == 2:
        assert tree.num_leaf_spine_links == tree.num_leaf * tree.num_up_ports
        assert tree.num_spine * radix >= tree.num_leaf_spine_links
        assert tree.num_up_ports % tree.num_spine == 0  # equally many links for every pair
    if tree.levels == 3:
        assert tree.num_core * radix >= tree.num_spine_core_links


@given(ENDPOINTS, RADIX)
def test_one_endpoint_more_never_takes_fewer_leaves(endpoints, radix):
    if possible(endpoints + 1, radix):
        assert fat_tree(endpoints, radix).num_leaf <= fat_tree(endpoints + 1, radix).num_leaf


@given(st.integers(1, 3000), st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_oversubscription_never_takes_more_switches(endpoints, ratio):
    flat, thin = fat_tree(endpoints, 64), fat_tree(endpoints, 64, oversubscription=ratio)
    assert thin.num_leaf <= flat.num_leaf
    assert thin.oversubscription_ratio == pytest.approx(ratio, rel=0.1)


@given(st.integers(1, 1500), st.sampled_from([1, 4, 8]))
def test_no_port_is_wired_twice_and_every_pair_has_equally_many_links(servers, ports):
    attachment = Attachment(
        name="training", num_devices=servers, num_ports=ports, port_bytes_per_s=50e9
    )
    plane = fabric.compute_plane([attachment], catalog.load().switches.values(), "infiniband")
    wires = wiring(plane)
    ends = [
        (wires.node_device, wires.node_port),
        (wires.node_leaf, wires.node_leaf_port),
        (wires.up_leaf, wires.up_leaf_port),
        (wires.up_spine, wires.up_spine_port),
        (wires.core_spine, wires.core_spine_port),
        (wires.core_core, wires.core_core_port),
    ]
    for device, port in ends:
        assert np.unique(np.stack([device, port]), axis=1).shape[1] == device.size
    assert wires.node_leaf.max(initial=0) < plane.num_leaf
    assert wires.node_leaf_port.max(initial=0) < plane.radix // 2
    assert wires.up_spine.max(initial=0) < max(plane.num_spine, 1)
    assert wires.up_spine_port.max(initial=0) < plane.radix
    if plane.levels == 2:
        pairs = np.zeros((plane.num_leaf, plane.num_spine), dtype=int)
        np.add.at(pairs, (wires.up_leaf, wires.up_spine), 1)
        assert pairs.min() == pairs.max()


def test_a_server_of_a_full_group_meets_one_leaf_a_rail():
    attachment = Attachment(name="t", num_devices=128, num_ports=8, port_bytes_per_s=50e9)
    plane = fabric.compute_plane([attachment], catalog.load().switches.values(), "infiniband")
    wires = wiring(plane)
    for server in (0, 31, 32, 127):
        leaves = wires.node_leaf[wires.node_device == server]
        assert sorted(leaves % 8) == list(range(8))
        assert len(set(leaves // 8)) == 1


def test_more_than_three_levels_connect_names_the_limit_and_the_remedy():
    with pytest.raises(UsageError, match=r"65,536.*more ports"):
        fat_tree(100_000, 64)


def test_all_bad_cells_are_told_at_once():
    rows = [{"gpus": "x", "radix_per_plane": ""}, {"gpus": "8", "radix_per_plane": "63"}]
    with pytest.raises(InvalidInput) as caught:
        fabric.estimate_rows(rows, file="rows.csv")
    assert len(caught.value.faults) == 3


def test_the_published_management_ports_take_the_published_switches():
    """317 ports of the H100 component list stand on 8 switches of 48 (RA-11333-001, 4 SU)."""
    parts = catalog.load()
    ports = Attachment(name="all", num_devices=317, num_ports=1, port_bytes_per_s=1.25e8)
    from clusterwright.units import Fraction

    plane = fabric.management_plane(
        [ports],
        parts.switch("SN2201"),
        fill=parts.default("plan.management_fill", Fraction),
        num_uplinks=2,
    )
    assert plane.num_leaf == 8


@pytest.mark.parametrize("uplinks", [2, 4])
@pytest.mark.parametrize("ports", [30, 317, 1161, 1920, 2000, 7000, 20_000, 200_000])
def test_every_management_port_and_every_uplink_has_a_place(ports, uplinks):
    parts = catalog.load()
    attachment = Attachment(name="all", num_devices=ports, num_ports=1, port_bytes_per_s=1.25e8)
    plane = fabric.management_plane(
        [attachment], parts.switch("SN2201"), fill=0.85, num_uplinks=uplinks
    )
    wires = wiring(plane)
    assert wires.core_core.size == plane.num_spine_core_cables
    for switch, port, count in (
        (wires.node_leaf, wires.node_leaf_port, plane.num_leaf),
        (wires.up_leaf, wires.up_leaf_port, plane.num_leaf),
        (wires.up_spine, wires.up_spine_port, plane.num_spine),
        (wires.core_spine, wires.core_spine_port, plane.num_spine),
        (wires.core_core, wires.core_core_port, plane.num_core),
    ):
        assert switch.max(initial=-1) < max(count, 1)
        assert port.max(initial=-1) < plane.radix
        assert np.unique(np.stack([switch, port]), axis=1).shape[1] == switch.size
    both = np.concatenate(
        [
            wires.up_spine * 1000 + wires.up_spine_port,
            wires.core_spine * 1000 + wires.core_spine_port,
        ]
    )
    assert np.unique(both).size == both.size
