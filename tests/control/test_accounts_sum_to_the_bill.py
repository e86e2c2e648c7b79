"""Jobs, what was idle, what was down and the overhead are the bill, whatever happened."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.drive import Drive
from tests.control.world import centre, job

from clusterwright.control import accounts, orders
from clusterwright.model.centre import Rates

RATES = Rates(
    usd_per_accelerator_hour=2.0,
    cpu_usd_per_hour=0.05,
    energy_usd_per_j=0.1 / 3.6e6,
    carbon_g_per_j=400 / 3.6e6,
    pue_ratio=1.3,
    idle_fraction=0.3,
    busy_fraction=0.85,
)
FIGURES = ("gpu_s", "cpu_s", "energy_j", "cost_usd", "carbon_g")


def _centre(gpus=4, nodes=3):
    made = centre(nodes=nodes, gpus=gpus, rates=RATES)
    (group,) = made.nodes
    return type(made)(
        nodes=(type(group)(name="n", num_nodes=nodes, num_gpus=gpus, num_cpus=8, power_w=4000.0),),
        rates=RATES,
    )


def _balanced(found):
    for figure in FIGURES:
        parts = [
            getattr(one, figure) for one in (*found.items, found.idle, found.down, found.overhead)
        ]
        assert math.isclose(
            math.fsum(parts), getattr(found.bill, figure), rel_tol=1e-9, abs_tol=1e-6
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("submit", "end", "lose", "back", "cancel", "requeue", "pass")),
        st.integers(0, 7),
        st.floats(0.0, 5000.0),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, gpus=st.sampled_from((0, 4)), by=st.sampled_from(("job", "project", "queue")))
def test_whatever_happens_the_parts_are_the_whole(steps, gpus, by):
    drive = Drive(_centre(gpus))
    for what, which, pause in steps:
        runs = [drive.book.order[index].job_id for index in sorted(drive.book.state.running)]
        node = f"n{which % 3 + 1}"
        if what == "submit":
            drive.submit(job(gpus=min(gpus, which % 4 + 1), nodes=which % 3 + 1), pause)
        elif what == "end" and runs:
            drive.end(runs[which % len(runs)], after_s=pause)
        elif what == "cancel" and runs:
            name = runs[which % len(runs)]
            drive.do(lambda book, now, name=name: orders.cancel(book, name, now, "ann"), pause)
        elif what == "requeue" and runs:
            name = runs[which % len(runs)]
            drive.do(lambda book, now, name=name: orders.requeue(book, name, now, "ann"), pause)
        elif what == "lose" and node not in drive.book.down:
            drive.lose(node, pause)
        elif what == "back" and node in drive.book.down:
            drive.bring_back(node, pause)
        else:
            drive.now_s += pause
    _balanced(accounts.statement(drive.book, 0.0, drive.now_s, by=by))
    middle = (1000.0 + drive.now_s) / 2
    _balanced(accounts.statement(drive.book, middle, drive.now_s, by=by))


def test_a_job_pays_for_what_it_held():
    drive = Drive(_centre())
    name = drive.submit(job(gpus=4, nodes=2))
    drive.begin(name)
    drive.end(name, after_s=3600.0)
    found = accounts.of_job(drive.book, drive.book.jobs[name], drive.now_s)
    assert found.gpu_s == pytest.approx(8 * 3600, rel=1e-6)
    assert found.cost_usd == pytest.approx(8 * 2 + found.energy_j * 0.1 / 3.6e6, rel=1e-6)
    assert found.energy_j == pytest.approx(2 * 4000 * RATES.busy_fraction * 3600, rel=1e-6)


def test_a_centre_that_changes_still_balances():
    drive = Drive(_centre(nodes=3))
    name = drive.submit(job(gpus=4, nodes=1))
    drive.do(lambda book, now: orders.change_centre(book, _centre(nodes=2), now), 100.0)
    drive.end(name, after_s=100.0)
    drive.do(lambda book, now: orders.change_centre(book, _centre(nodes=4), now), 100.0)
    drive.now_s += 100.0
    found = accounts.statement(drive.book, 0.0, drive.now_s)
    _balanced(found)
    assert found.bill.gpu_s == pytest.approx(4 * (3 * 100 + 2 * 200 + 4 * 100), rel=1e-6)
