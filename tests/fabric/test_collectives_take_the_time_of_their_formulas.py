"""Collectives: limits, monotonicity, and the formulas of Thakur et al. 2005 by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.fabric import collectives

ALL = (
    collectives.all_reduce_ring_s,
    collectives.all_reduce_tree_s,
    collectives.all_reduce_in_network_s,
    collectives.all_gather_s,
    collectives.all_to_all_s,
)
RANKS = st.integers(2, 4096)
BYTES = st.floats(1, 1e12)
SPEED = st.floats(1e8, 1e12)


def test_a_ring_sends_twice_the_share_of_the_others():
    # 2 x (8 - 1) steps of 1 GB / 8 at 50 GB/s, and 14 latencies of 5 us.
    assert collectives.all_reduce_ring_s(8, 1e9, 50e9, 5e-6) == pytest.approx(
        14 * (5e-6 + 1e9 / 8 / 50e9)
    )


@pytest.mark.parametrize("collective", ALL)
def test_one_rank_waits_for_nobody(collective):
    assert collective(1, 1e9, 50e9, 5e-6) == 0


@pytest.mark.parametrize("collective", ALL)
@given(ranks=RANKS, size=BYTES, speed=SPEED, factor=st.floats(1, 100))
def test_more_bandwidth_never_lengthens(collective, ranks, size, speed, factor):
    assert collective(ranks, size, speed * factor, 5e-6) <= collective(ranks, size, speed, 5e-6)


@pytest.mark.parametrize("collective", ALL)
@given(ranks=RANKS, size=BYTES, speed=SPEED, factor=st.floats(1, 100))
def test_more_bytes_never_shorten(collective, ranks, size, speed, factor):
    assert collective(ranks, size * factor, speed, 5e-6) >= collective(ranks, size, speed, 5e-6)


@given(size=BYTES, speed=SPEED)
def test_reducing_in_the_network_is_never_slower_than_a_large_ring(size, speed):
    ring = collectives.all_reduce_ring_s(64, size, speed, 5e-6)
    assert collectives.all_reduce_in_network_s(64, size, speed, 5e-6) <= ring


def test_arrays_broadcast():
    ranks = np.array([[2], [8]])
    sizes = np.array([1e6, 1e9, 1e10])
    assert collectives.all_gather_s(ranks, sizes, 50e9, 1e-6).shape == (2, 3)


def test_a_hierarchy_of_one_domain_is_the_inside_alone():
    inside = 2 * collectives.all_gather_s(8, 1e9, 450e9, 1e-6)
    whole = collectives.all_reduce_hierarchical_s(8, 1, 1e9, 450e9, 50e9, 1e-6)
    assert whole == pytest.approx(float(inside))
