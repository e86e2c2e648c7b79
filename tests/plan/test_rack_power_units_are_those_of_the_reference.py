"""Rack power distribution units, each of which takes a management port."""

from clusterwright import catalog
from clusterwright.plan.network import pdus


def test_a_superpod_of_38_racks_has_108_power_units() -> None:
    # RA-11333-001, component tables for four scalable units: 96 for 32 compute racks and 12 for
    # the 6 others; exact.
    parts = catalog.load()
    assert pdus(32, 0, parts) == 96
    assert pdus(0, 6, parts) == 12
    assert pdus(32, 6, parts) == 108
