"""The bill: lines that sum, totals that follow from them and from nothing else."""

import math
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.economics import Bill, MoneyTerms, account
from clusterwright.economics.account import equipment_usd, line, present_value
from clusterwright.errors import UsageError
from clusterwright.model.economics import BomCategory, BomLine, CostLine
from clusterwright.units import HOURS_PER_YEAR, SECONDS_PER_YEAR

MILLION = 1_000_000
CATEGORIES: tuple[BomCategory, ...] = get_args(BomCategory)


def terms(years: float = 5.0, *, discount: float = 0.0) -> MoneyTerms:
    return MoneyTerms(
        depreciation_s=years * SECONDS_PER_YEAR,
        discount_fraction=discount,
        utilization_fraction=0.8,
    )


def bill(
    bom: tuple[BomLine, ...] = (),
    running: tuple[CostLine, ...] = (),
    *,
    accelerators: int = 1024,
    tokens_per_year: float = 0.0,
    share: float = 1.0,
) -> Bill:
    return Bill(
        bom=bom,
        running=running,
        num_accelerators=accelerators,
        tokens_per_year=tokens_per_year,
        training_share_fraction=share,
    )


def paid(name: str, usd_per_year: float) -> CostLine:
    return CostLine(name=name, cost_usd_per_year=usd_per_year, source="test")


_price = st.floats(0, 1e7)
_line = st.builds(
    lambda category, count, low, more: line(
        category, "item", count, low, low + more, estimated=False, source="test"
    ),
    st.sampled_from(CATEGORIES), st.integers(0, 20_000), _price, _price,
)  # fmt: skip
_bill = st.builds(
    lambda bom, running, accelerators, tokens, share: bill(
        tuple(bom),
        tuple(paid(f"cost-{number}", usd) for number, usd in enumerate(running)),
        accelerators=accelerators,
        tokens_per_year=tokens,
        share=share,
    ),
    st.lists(_line, max_size=8),
    st.lists(st.floats(0, 1e9), max_size=5),
    st.integers(0, 100_000),
    st.one_of(st.just(0.0), st.floats(1e6, 1e15)),
    st.floats(0, 1),
)
_terms = st.builds(
    lambda years, discount: terms(years, discount=discount),
    st.floats(0.5, 15), st.floats(0, 0.3),
)  # fmt: skip


@given(bill=_bill, terms=_terms)
def test_lines_sum_to_the_capex_and_running_costs_to_the_opex(
    bill: Bill, terms: MoneyTerms
) -> None:
    money, _ = account(bill, terms, None)
    assert money.capex_usd == pytest.approx(math.fsum(one.cost_usd for one in bill.bom))
    assert money.opex_usd_per_year == pytest.approx(
        math.fsum(one.cost_usd_per_year for one in bill.running)
    )
    assert (money.bom, money.running) == (bill.bom, bill.running)


@given(bill=_bill, terms=_terms)
def test_the_low_and_the_high_end_enclose_the_capex(bill: Bill, terms: MoneyTerms) -> None:
    money, _ = account(bill, terms, None)
    slack = 1e-9 * (1 + money.capex_high_usd)
    assert money.capex_low_usd <= money.capex_usd + slack
    assert money.capex_usd <= money.capex_high_usd + slack


@given(bill=_bill, years=st.floats(0.5, 15))
def test_owning_is_building_and_running_with_nothing_hidden(bill: Bill, years: float) -> None:
    money, _ = account(bill, terms(years), None)
    assert money.tco_usd == pytest.approx(money.capex_usd + years * money.opex_usd_per_year)


@given(bill=_bill, terms=_terms)
def test_discounting_lowers_later_costs_only(bill: Bill, terms: MoneyTerms) -> None:
    money, _ = account(bill, terms, None)
    plain, _ = account(bill, replace(terms, discount_fraction=0.0), None)
    assert money.capex_usd == plain.capex_usd
    assert money.tco_usd <= plain.tco_usd * (1 + 1e-9)
    assert money.tco_usd >= money.capex_usd


@given(bill=_bill, terms=_terms)
def test_the_price_of_an_hour_times_the_hours_is_the_total(bill: Bill, terms: MoneyTerms) -> None:
    money, _ = account(bill, terms, None)
    hours = bill.num_accelerators * HOURS_PER_YEAR * terms.depreciation_s / SECONDS_PER_YEAR
    if hours:
        assert money.usd_per_accelerator_hour * hours == pytest.approx(money.tco_usd)
    else:
        assert money.usd_per_accelerator_hour == 0.0


@given(bill=_bill, terms=_terms)
def test_the_price_of_tokens_times_the_tokens_is_what_training_carries(
    bill: Bill, terms: MoneyTerms
) -> None:
    money, _ = account(bill, terms, None)
    if not bill.tokens_per_year:
        assert money.usd_per_million_tokens is None
        return
    assert money.usd_per_million_tokens is not None
    tokens = bill.tokens_per_year * terms.depreciation_s / SECONDS_PER_YEAR
    assert money.usd_per_million_tokens * tokens / MILLION == pytest.approx(
        money.tco_usd * bill.training_share_fraction
    )


@given(bill=_bill, more=_line, terms=_terms)
def test_a_line_more_never_costs_less(bill: Bill, more: BomLine, terms: MoneyTerms) -> None:
    before, _ = account(bill, terms, None)
    after, _ = account(replace(bill, bom=(*bill.bom, more)), terms, None)
    assert after.capex_usd >= before.capex_usd
    assert after.tco_usd >= before.tco_usd


@given(bom=st.lists(_line, max_size=8))
def test_equipment_leaves_out_building_and_services_and_nothing_else(bom: list[BomLine]) -> None:
    rest = math.fsum(one.cost_usd for one in bom if one.category in {"facility", "services"})
    everything = math.fsum(one.cost_usd for one in bom)
    assert equipment_usd(bom) + rest == pytest.approx(everything)


@given(per_year=st.floats(0, 1e9), years=st.floats(0.5, 30), rate=st.floats(1e-6, 0.5))
def test_a_present_value_lies_between_paying_at_the_end_and_at_the_start(
    per_year: float, years: float, rate: float
) -> None:
    # Annuities paid once a year: at its end a(n) = (1 - v^n)/r, at its start a(n)·(1 + r).
    at_end = per_year * (1 - (1 + rate) ** -years) / rate
    value = present_value(per_year, years, rate)
    assert at_end * (1 - 1e-6) <= value <= at_end * (1 + rate) * (1 + 1e-6)


def test_a_present_value_is_the_sum_of_its_days() -> None:
    days = math.fsum(100 / 365 * 1.1 ** -((day + 0.5) / 365) for day in range(5 * 365))
    # The midpoint rule over days of a year differs from the integral by less than 1e-6.
    assert present_value(100, 5, 0.10) == pytest.approx(days, rel=1e-6)


@pytest.mark.parametrize("prices", [(2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_a_price_range_that_makes_no_sense_is_refused(prices: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="'switch'"):
        line("network", "switch", 1, *prices, estimated=False, source="test")


def test_the_derivations_name_every_running_cost_and_every_category() -> None:
    bom = tuple(
        line(category, category, 1, 1e6, 1e6, estimated=False, source="test")
        for category in CATEGORIES
    )
    running = (paid("energy", 2e6), paid("staff", 1e6))
    _, derivations = account(bill(bom, running, tokens_per_year=1e12), terms(), None)
    formulas = {one.path: one.formula for one in derivations}
    for category in CATEGORIES:
        assert f"{category} 1 MUSD" in formulas["spec.economics.capex_usd"]
    assert formulas["spec.economics.opex_usd_per_year"].startswith("energy 2 MUSD")
    assert "spec.economics.usd_per_million_tokens" in formulas
