"""Interruptions, checkpoint intervals and goodput against what clusters and papers report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.conftest import the_catalog

from clusterwright import reliability


def assess(count, stall=1.0, restart=900.0):
    return reliability.assess(
        count,
        the_catalog().failure_rates.values(),
        checkpoint_stall_s=stall,
        restart_s=restart,
        source="",
    )


def test_the_llama_3_cluster_is_interrupted_as_often_as_reported():
    # 419 unexpected interruptions in 54 days on 16,384 H100 (arXiv 2407.21783, table 5).
    rated = assess(16_384)
    assert rated.interruptions_per_day == pytest.approx(7.76, rel=0.001)
    assert rated.mean_time_between_s / 3600 == pytest.approx(3.1, rel=0.01)
    assert rated.goodput_fraction > 0.90  # reported: more than 90 % effective training time


def test_shares_sum_to_the_whole():
    rated = assess(1024)
    total = sum(share.interruptions_per_day for share in rated.shares)
    assert total == pytest.approx(rated.interruptions_per_day)


def test_the_interval_is_youngs_where_checkpoints_are_short():
    # Young 1974: sqrt(2 d M) between the starts of work and of the next checkpoint.
    interval = reliability.checkpoint_interval_s(30, 2.6 * 3600) + 30
    assert interval / 3600 == pytest.approx(0.21, rel=0.02)


@given(st.floats(1, 600), st.floats(600, 1e6), st.floats(0.3, 3))
def test_no_other_interval_loses_less(stall, between, factor):
    best = reliability.checkpoint_interval_s(stall, between)

    def goodput(interval):
        return reliability.goodput_fraction(interval, stall, 60.0, between)

    assert goodput(best * factor) <= goodput(best) * (1 + 2e-3)


@pytest.mark.parametrize(("count", "stall"), [(1, 0.0), (8, 1e9), (10_000_000, 1.0)])
def test_goodput_stays_a_share_at_the_edges(count, stall):
    assert 0 < assess(count, stall=stall).goodput_fraction <= 1
