"""Tables of the source documents, added up by our own bill. Claim ids are those of the fact tables.

Where a printed total differs from the sum of its rows, the sum is what we expect and the tolerance
says how far the print is off.
"""

from collections.abc import Mapping

import pytest

from clusterwright.economics import Bill, MoneyTerms, account
from clusterwright.economics.account import line
from clusterwright.model.economics import BomLine, CostLine, Economics
from clusterwright.units import SECONDS_PER_YEAR

MUSD = 1_000_000
Ranges = Mapping[str, tuple[float, float]]  # MUSD, low and high

THOUSAND: Ranges = {"GPUs": (15, 40), "servers and network": (10, 20), "renovation": (5, 10)}
TEN_THOUSAND: Ranges = {"GPUs": (150, 400), "infrastructure": (100, 200)}
LARGE_CENTRE: Ranges = {
    "GPUs": (300, 1000),
    "interconnect": (50, 100),
    "storage": (10, 50),
    "servers": (100, 300),
    "building": (50, 200),
    "power": (50, 150),
    "cooling": (20, 80),
    "network access": (10, 30),
}
LARGE_CENTRE_YEAR: Ranges = {
    "electricity": (50, 150),
    "staff": (10, 30),
    "maintenance": (20, 50),
    "network": (5, 15),
    "other": (5, 15),
}
TEN_THOUSAND_YEAR: Ranges = {
    "electricity": (8.76, 8.76),
    "cooling": (1, 2),
    "staff": (5, 10),
    "maintenance and depreciation": (10, 20),
}


def built(ranges: Ranges, *, opex_musd: float = 0.0, years: float = 5.0) -> Economics:
    bom = tuple(
        line("compute", name, 1, low * MUSD, high * MUSD, estimated=True, source="heavy industry")
        for name, (low, high) in ranges.items()
    )
    running = (CostLine(name="all", cost_usd_per_year=opex_musd * MUSD, source="test"),)
    return _account(bom, running, years)


def run(ranges: Ranges, end: int) -> Economics:
    running = tuple(
        CostLine(name=name, cost_usd_per_year=values[end] * MUSD, source="heavy industry")
        for name, values in ranges.items()
    )
    return _account((), running, 5.0)


def _account(bom: tuple[BomLine, ...], running: tuple[CostLine, ...], years: float) -> Economics:
    bill = Bill(
        bom=bom,
        running=running,
        num_accelerators=10_000,
        tokens_per_year=0.0,
        training_share_fraction=1.0,
    )
    money = MoneyTerms(
        depreciation_s=years * SECONDS_PER_YEAR, discount_fraction=0.0, utilization_fraction=1.0
    )
    return account(bill, money, None)[0]


# sentence: (rows, low, high, tolerance, claims, why that tolerance)
TOTALS = {
    "1,000 GPUs": (THOUSAND, 30, 70, 1e-12, "S2-32, S2-33", "exact"),
    "10,000 GPUs": (TEN_THOUSAND, 250, 600, 1e-12, "S2-34, S2-35", "exact"),
    "a large centre": (LARGE_CENTRE, 590, 1910, 1e-12, "S2-37, S2-38", "exact sum of the rows"),
    "a large centre, as printed": (LARGE_CENTRE, 600, 2000, 0.05, "S2-37, S2-38",
        "the text rounds 590 to 600 and 1,910 to 2,000"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOTALS)
def test_what_a_centre_costs_to_build_is_the_sum_of_its_rows(case: str) -> None:
    rows, low, high, tolerance, *_ = TOTALS[case]
    money = built(rows)
    assert money.capex_low_usd / MUSD == pytest.approx(low, rel=tolerance)
    assert money.capex_high_usd / MUSD == pytest.approx(high, rel=tolerance)
    assert money.capex_usd == pytest.approx((money.capex_low_usd + money.capex_high_usd) / 2)


# sentence: (rows, low or high, MUSD a year, tolerance, claim, why that tolerance)
YEARS = {
    "a large centre, low": (LARGE_CENTRE_YEAR, 0, 90, 1e-12, "S2-39", "exact"),
    "a large centre, high": (LARGE_CENTRE_YEAR, 1, 260, 1e-12, "S2-40", "exact"),
    "10,000 GPUs, low": (TEN_THOUSAND_YEAR, 0, 25, 0.012, "S2-46", "24.76 printed as 25"),
    "10,000 GPUs, high": (TEN_THOUSAND_YEAR, 1, 40, 0.02, "S2-47", "40.76 printed as 40"),
}


@pytest.mark.parametrize("case", YEARS)
def test_what_a_year_costs_is_the_sum_of_its_rows(case: str) -> None:
    rows, end, total, tolerance, *_ = YEARS[case]
    assert run(rows, end).opex_usd_per_year / MUSD == pytest.approx(total, rel=tolerance)


@pytest.mark.parametrize(("end", "percent"), [(0, 55.6), (1, 57.7)])
def test_electricity_is_more_than_half_of_a_large_centres_year(end: int, percent: float) -> None:
    # Claim S2-41: 50 of 90 and 150 of 260; one printed digit after the point.
    money = run(LARGE_CENTRE_YEAR, end)
    electricity = money.running[0].cost_usd_per_year
    assert 100 * electricity / money.opex_usd_per_year == pytest.approx(percent, abs=0.05)


def test_three_years_of_a_large_centre_cost_the_published_total() -> None:
    # Claim S2-43: 600 + 3 × 150 = 1,050 MUSD, without discounting or residual value.
    money = built({"all": (600, 600)}, opex_musd=150, years=3.0)
    assert money.tco_usd / MUSD == pytest.approx(1050)


def test_building_costs_a_third_more_than_three_years_of_running_not_the_same() -> None:
    # Claim S2-44 prints 1 : 1; its own figures give 600 : 450.
    money = built({"all": (600, 600)}, opex_musd=150, years=3.0)
    assert money.capex_usd / (3 * money.opex_usd_per_year) == pytest.approx(1.33, abs=0.005)
