import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report import sample
from tests.report.pages import Page

from clusterwright import report
from clusterwright.report.numbers import positions, summing

SUMS = [
    # table, columns that sum
    ("pools", (3, 4, 5, 6, 7)),
    ("planes-table", (1, 2, 3, 4, 5, 8)),
    ("links", (2, 3, 4, 5)),
    ("racks-table", (2, 5)),
    ("power", (1, 2)),
    ("bom", (3, 4, 5)),
    ("running", (1,)),
]


def crooked():
    """Return the worked case with prices and powers that no rounding likes."""
    base = sample.design()
    spec = base.spec
    bom = tuple(
        dataclasses.replace(
            line,
            low_usd=line.low_usd + 1 / 3,
            cost_usd=line.cost_usd + 0.5,
            high_usd=line.high_usd + 2 / 3,
        )
        for line in spec.economics.bom
    )
    shares = tuple(
        dataclasses.replace(one, power_w=one.power_w + 33.3) for one in spec.facility.shares
    )
    return dataclasses.replace(
        base,
        spec=dataclasses.replace(
            spec,
            economics=dataclasses.replace(
                spec.economics,
                bom=bom,
                capex_low_usd=sum(line.low_usd for line in bom),
                capex_usd=sum(line.cost_usd for line in bom),
                capex_high_usd=sum(line.high_usd for line in bom),
            ),
            facility=dataclasses.replace(
                spec.facility,
                shares=shares,
                facility_power_w=sum(one.power_w for one in shares),
            ),
        ),
    )


@pytest.mark.parametrize("make", [sample.design, sample.hundred_thousand, crooked])
@pytest.mark.parametrize(("table", "columns"), SUMS, ids=[name for name, _ in SUMS])
def test_the_rows_shown_sum_to_the_sum_shown(make, table, columns):
    _head, *rows, total = Page(report.html(make())).tables[table]
    if table == "planes-table" and len(_head) > 9:
        columns = (1, 2, 3, 4, 5, 6, 7, 10)
    for column in columns:
        shown = [number(row[column]) for row in rows]
        assert math.isclose(sum(shown), number(total[column]), abs_tol=1e-6), table


def test_the_sum_shown_is_that_of_the_design():
    design = sample.design()
    tables = Page(report.html(design)).tables
    assert number(tables["bom"][-1][4]) == round(design.spec.economics.capex_usd)
    assert number(tables["power"][-1][1]) == round(design.spec.facility.facility_power_w / 1000, 1)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.integers(0, 3))
def test_rounded_columns_keep_their_sum_and_move_no_figure_by_more_than_a_unit(values, decimals):
    rounded = summing(values, decimals)
    step = 10.0**-decimals
    assert math.isclose(
        math.fsum(rounded), round(math.fsum(values) / step) * step, abs_tol=step / 2
    )
    assert all(abs(a - b) < step * 1.001 for a, b in zip(rounded, values, strict=True))


@given(st.floats(1e-6, 1e15), st.integers(2, 8))
def test_axis_marks_begin_at_zero_and_cover_the_most(most, wanted):
    marks = positions(most, wanted)
    assert marks[0] == 0
    assert marks[-1] >= most * (1 - 1e-6)
    assert len(marks) <= 3 * wanted + 2
    assert all(a < b for a, b in itertools.pairwise(marks))


def number(text: str) -> float:
    return float(text.replace(",", "").strip())
