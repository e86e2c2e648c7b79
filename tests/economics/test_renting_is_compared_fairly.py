"""Build or rent: the break-even, and published rents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright import catalog
from clusterwright.economics import compare_with_rent, typical_offer
from clusterwright.model.economics import Rent
from clusterwright.model.market import CloudOffer
from clusterwright.model.parts import Provenance
from clusterwright.units import HOURS_PER_YEAR, SECONDS_PER_YEAR

PARTS = catalog.load()


def offer(usd: float, *, name: str = "offer", year: int = 2026) -> CloudOffer:
    return CloudOffer(
        name=name,
        accelerator="H100-SXM5-80GB",
        provider="test",
        year=year,
        usd_per_accelerator_hour=usd,
        provenance=Provenance(source="test", certainty="estimate"),
    )


def rent(
    usd: float, *, accelerators: int = 1, tco: float = 1.0, years: float = 1.0, used: float = 1.0
) -> Rent:
    return compare_with_rent(
        offer(usd),
        num_accelerators=accelerators,
        tco_usd=tco,
        depreciation_s=years * SECONDS_PER_YEAR,
        utilization=used,
    )


def test_ten_thousand_accelerators_cost_the_published_rent_of_a_month() -> None:
    # Claim S5-14: 100 MCNY a month at 7.2 CNY/USD is about 1.9 USD for an accelerator-hour; two
    # printed digits leave 2.7 % open.
    month = rent(1.9, accelerators=10_000, years=1 / 12)
    assert month.rent_usd * 7.2 == pytest.approx(100e6, rel=0.027)


def test_ten_points_of_utilisation_are_worth_a_tenth_of_the_full_rent() -> None:
    # Claim S5-15: 10 of 100 MCNY.
    full, more, less = (rent(1.9, used=used).rent_usd for used in (1.0, 0.8, 0.7))
    assert more - less == pytest.approx(0.1 * full)


_usd = st.floats(0.1, 20)
_count = st.integers(1, 100_000)
_years = st.floats(0.5, 10)
_tco = st.floats(1e3, 1e11)


@given(usd=_usd, accelerators=_count, tco=_tco, years=_years)
def test_at_the_break_even_both_cost_the_same(
    usd: float, accelerators: int, tco: float, years: float
) -> None:
    ratio = rent(usd, accelerators=accelerators, tco=tco, years=years).break_even_ratio
    same = rent(usd, accelerators=accelerators, tco=tco, years=years, used=ratio)
    assert same.rent_usd == pytest.approx(same.build_usd)


@given(usd=_usd, accelerators=_count, tco=_tco, years=_years, used=st.floats(0, 1))
def test_building_is_cheaper_above_the_break_even_and_renting_below(
    usd: float, accelerators: int, tco: float, years: float, used: float
) -> None:
    found = rent(usd, accelerators=accelerators, tco=tco, years=years, used=used)
    if used > found.break_even_ratio * (1 + 1e-9):
        assert found.cheaper == "build"
    if used < found.break_even_ratio * (1 - 1e-9):
        assert found.cheaper == "rent"


@given(usd=_usd, more=st.floats(1, 5), tco=_tco)
def test_a_dearer_offer_breaks_even_earlier(usd: float, more: float, tco: float) -> None:
    assert rent(usd * more, tco=tco).break_even_ratio <= rent(usd, tco=tco).break_even_ratio


def test_rent_is_paid_for_the_hours_that_are_used() -> None:
    assert rent(2.0, accelerators=8, used=0.5).rent_usd == pytest.approx(8 * HOURS_PER_YEAR)


def test_the_typical_offer_is_the_lower_median_of_the_latest_year() -> None:
    offers = [
        offer(9.0, name="a", year=2024),
        offer(1.0, name="b"),
        offer(3.0, name="c"),
        offer(2.0, name="d"),
        offer(10.0, name="e"),
    ]
    found = typical_offer("H100-SXM5-80GB", offers)
    assert found is not None
    assert found.usd_per_accelerator_hour == 2.0


def test_without_an_offer_there_is_nothing_to_compare_with() -> None:
    assert typical_offer("Ascend-910B", [offer(2.0)]) is None


def test_the_h100_offer_taken_is_within_the_published_market_range() -> None:
    # AIMultiple and Mercatus, May 2026: median 2.95, range 1.99 to 5.0 USD.
    found = typical_offer("H100-SXM5-80GB", PARTS.cloud_offers.values())
    assert found is not None
    assert 1.99 <= found.usd_per_accelerator_hour <= 5.0
