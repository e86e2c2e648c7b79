"""The energy study: on time as before, saving below its bound, and nothing known too early."""

import dataclasses
import gzip
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.conftest import ROOT, demand_of, design_of, the_catalog

from clusterwright.catalog.catalog import HourlySeries
from clusterwright.errors import InvalidInput, UsageError
from clusterwright.sched.deferral import decide
from clusterwright.sched.outlook import Forecast, outlook
from clusterwright.sched.sleep import SleepingNode
from clusterwright.study import EnergySetting, deferred, study_energy
from clusterwright.study.deferred import Task, at_once
from clusterwright.study.energy import held
from clusterwright.study.foresight import least_cost, slot_of
from clusterwright.study.idle import slept_j
from clusterwright.traces import read_series

HOUR = 3600.0
WORKED = ROOT / "examples/autonomous-driving/centre.yaml"
ENERGY = ROOT.parent / "shared/reference/energy/hourly_2023.csv.gz"


def a_task(**changed):
    given = {
        "name": "t",
        "submit_s": 0.0,
        "due_s": 48 * HOUR,
        "work_s": 30 * HOUR,
        "num_gpus_ratio": 8.0,
        "power_w": 1000.0,
        "interruptible": True,
        "restart_s": 900.0,
        "failures_per_s": 0.0,
        "repair_s": HOUR,
        "redo_s": 60.0,
        "error_fraction": 0.0,
    }
    return Task(**(given | changed))


def by(signal):
    def rule(work, hour):
        ahead = max(1, math.ceil(work.due_s / HOUR))
        return decide(work, outlook(signal[: hour + 12], hour, ahead, Forecast())).run

    return rule


@st.composite
def campaigns(draw):
    """Return tasks of one pool that have time to spare, with failures at any time of their run."""
    tasks, begin = [], 0.0
    for number in range(draw(st.integers(1, 3))):
        work = draw(st.floats(2, 20)) * HOUR
        struck = draw(st.lists(st.floats(0, work), max_size=2))
        spare = draw(st.floats(1, 30)) * HOUR + 3 * HOUR * len(struck)
        tasks.append(
            a_task(
                name=f"t{number}",
                submit_s=begin,
                due_s=begin + work + spare,
                work_s=work,
                failures_at_s=tuple(sorted(struck)),
                interruptible=draw(st.booleans()),
                failures_per_s=draw(st.sampled_from([0.0, 1e-5])),
            )
        )
        begin += work + spare if draw(st.booleans()) else 5 * HOUR
    return tasks


@settings(max_examples=60)
@given(campaigns(), st.integers(0, 2**32 - 1), st.sampled_from([8.0, 24.0]))
def test_no_rule_costs_less_than_foresight(tasks, seed, gpus):
    rng = np.random.default_rng(seed)
    signal = rng.gamma(1.0, 50.0, 260) - 20
    room = np.full(signal.size, gpus)
    for rule in (at_once, by(signal)):
        course = deferred.run(tasks, room, rule, risk_fraction=0.001)
        assert (course.run_s.T @ np.array([t.num_gpus_ratio for t in tasks]) <= gpus * HOUR).all()
        if any(not end <= t.due_s for t, end in zip(tasks, course.ends_s, strict=True)):
            continue  # the bound is for work that is through in time
        cost = float((course.run_s @ signal).sum() / HOUR)
        least = least_cost([slot_of(t) for t in tasks], [signal] * len(tasks), room)
        assert least <= cost + 1e-6 * np.abs(signal).sum()


@given(st.floats(2, 40), st.floats(0, 30), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_task_alone_is_never_made_late_by_waiting(work_h, spare_h, interruptible, seed):
    signal = np.random.default_rng(seed).gamma(0.5, 50.0, 80)
    task = a_task(
        work_s=work_h * HOUR, due_s=(work_h + spare_h) * HOUR, interruptible=interruptible
    )
    course = deferred.run([task], np.full(80, 8.0), by(signal), risk_fraction=0.001)
    assert course.ends_s[0] <= task.due_s + 1e-3
    assert course.run_s.sum() >= task.work_s - 1e-3


def test_failures_take_repair_restart_and_the_work_since_the_checkpoint():
    task = a_task(work_s=10 * HOUR, failures_at_s=(2 * HOUR,))
    course = deferred.run([task], np.full(24, 8.0), at_once, risk_fraction=0.001)
    assert course.ends_s[0] == pytest.approx(11 * HOUR + 900 + 60)
    assert course.run_s.sum() == pytest.approx(10 * HOUR + 900 + 60)
    assert course.num_pauses == 0


def test_foresight_skips_the_dear_hours_when_the_restart_pays():
    signal = np.array([10.0, 10, 90, 90, 10, 10, 10, 10])
    task = a_task(work_s=4 * HOUR, due_s=8 * HOUR)
    assert least_cost([slot_of(task)], [signal], np.full(8, 8.0)) == pytest.approx(40)
    late = dataclasses.replace(task, work_s=9 * HOUR)
    with pytest.raises(UsageError, match="does not fit"):
        least_cost([slot_of(late)], [signal], np.full(8, 8.0))


def test_what_does_not_fit_in_an_hour_is_done_in_the_next():
    jobs = [
        dataclasses.replace(_job(), job_id=str(n), submit_s=0.5 * HOUR, duration_s=HOUR)
        for n in range(2)
    ]
    assert held(jobs, 8.0, 4).tolist() == [8, 8, 0, 0]


def test_idle_nodes_sleep_after_the_break_even_and_pay_for_waking():
    node = SleepingNode(idle_w=300, asleep_w=0, wake_s=600, wake_w=300)
    saved = slept_j(np.array([2, 1, 1, 1, 2, 0]), 2, node, after_s=600.0)
    one = 300 * np.array([0, 3000, 3600, 3600 - 600, 0, 3000.0])
    other = 300 * np.array([0, 0, 0, 0, 0, 3000.0])
    assert saved == pytest.approx(one + other)


def test_the_worked_case_saves_below_its_bound_and_nothing_is_late():
    parts = the_catalog()
    study = study_energy(
        demand_of(WORKED),
        design_of(WORKED),
        parts,
        parts.series,
        EnergySetting(first_hour=200 * 24, num_hours=15 * 24),
    )
    assert [one.name for one in study.terms if one.deferrable] == ["bev-foundation"]
    assert {zone.zone for zone in study.zones} == set(parts.series)
    for zone in study.zones:
        assert zone.num_tasks == zone.num_on_time_before == zone.num_on_time_after == 1
        assert 0 < zone.saving_fraction <= zone.bound_fraction
        assert zone.saving_fraction == zone.cost_saving_fraction
        assert zone.bill_saving_fraction < zone.saving_fraction
    assert study.waited_w.sum() == pytest.approx(study.power_w.sum(), rel=0.02)


def test_a_flat_price_saves_nothing_and_pauses_nothing():
    flat = HourlySeries(price_usd_per_j=(1e-8,) * 720, carbon_g_per_j=(1e-4,) * 720)
    zone = _study(flat, failures=False).zones[0]
    assert (zone.num_pauses, zone.saving_fraction) == (0, 0)
    assert zone.bound_fraction == pytest.approx(0, abs=1e-9)


def test_prices_that_are_not_published_yet_change_nothing_before_they_are():
    rng = np.random.default_rng(5)
    price = rng.gamma(1.0, 3e-8, 720)
    told = 8 * 24  # all hours of the eighth day, told on the seventh at 18:00
    other = np.concatenate([price[:told], rng.gamma(1.0, 3e-6, 720 - told)])
    carbon = (1e-4,) * 720
    first, second = (
        _study(HourlySeries(price_usd_per_j=tuple(one), carbon_g_per_j=carbon)).waited_w
        for one in (price, other)
    )
    upto = 7 * 24 + 18
    assert (first[:upto] == second[:upto]).all()
    assert (first[upto:] != second[upto:]).any()


def test_both_signals_weigh_carbon_by_its_price():
    rng = np.random.default_rng(3)
    series = HourlySeries(
        price_usd_per_j=tuple(rng.uniform(1e-8, 3e-8, 720)),
        carbon_g_per_j=tuple(rng.uniform(5e-5, 2e-4, 720)),
    )
    dear = _study(series, signal="both", usd_per_tonne=1e6).zones[0]
    clean = _study(series, signal="carbon", market="spot").zones[0]
    assert dear.carbon_saving_fraction == pytest.approx(clean.carbon_saving_fraction, abs=0.02)
    assert dear.bill_bound_fraction is None


def test_what_makes_no_sense_is_refused():
    flat = HourlySeries(price_usd_per_j=(1e-8,) * 48, carbon_g_per_j=(1e-4,) * 48)
    with pytest.raises(UsageError, match="needs 720"):
        _study(flat)
    with pytest.raises(UsageError, match="Run longer"):
        _study(flat, num_hours=48)
    with pytest.raises(UsageError, match="USD/t"):
        EnergySetting(signal="both")
    with pytest.raises(UsageError, match="never has more"):
        deferred.run([a_task()], np.full(3, 4.0), at_once, risk_fraction=0.1)


HEADER = "zone,utc_hour,price_usd_per_mwh,carbon_lifecycle_g_per_kwh\n"


def test_series_are_read_with_their_units_and_every_fault_is_told():
    rows = "A,2023-01-01T00:00Z,36,360\nA,2023-01-01T01:00Z,-72,0\n"
    found = read_series(gzip.compress((HEADER + rows).encode()), file="s.csv.gz")
    assert found["A"].price_usd_per_j == pytest.approx((1e-8, -2e-8))
    assert found["A"].carbon_g_per_j == pytest.approx((1e-4, 0))
    wrong = "A,2023-01-01T05:00Z,1,1\nA,2023-01-01T07:00Z,x,1\nA,soon,1,\n,2023-01-01T00:00Z,1,1\n"
    with pytest.raises(InvalidInput) as told:
        read_series((HEADER + wrong).encode(), file="s.csv")
    assert [(fault.line, fault.path) for fault in told.value.faults] == [
        *((2, "utc_hour"), (3, "price_usd_per_mwh"), (3, "utc_hour")),
        *((4, "carbon_lifecycle_g_per_kwh"), (4, "utc_hour"), (5, "zone")),
    ]
    with pytest.raises(InvalidInput, match="no rows"):
        read_series(HEADER.encode(), file="s.csv")


@pytest.mark.skipif(not ENERGY.is_file(), reason="the energy series is not beside the repository")
def test_zones_of_the_real_series_reach_half_of_the_bound_where_nothing_fails():
    series = read_series(ENERGY.read_bytes(), file=str(ENERGY))
    zones = {name: series[name] for name in ("DE-LU", "US-MIDA-PJM", "AU-NSW", "CA-ON")}
    study = _study(zones, first_hour=4380, num_hours=15 * 24, failures=False)
    for zone in study.zones:
        assert zone.num_on_time_after == zone.num_tasks
        assert zone.saving_fraction >= 0.5 * zone.bound_fraction


def _study(series, **changed):
    zones = series if isinstance(series, dict) else {"A": series}
    setting = EnergySetting(**({"num_hours": 720} | changed))
    return study_energy(demand_of(WORKED), design_of(WORKED), the_catalog(), zones, setting)


def _job():
    from clusterwright.model.job import Job

    return Job(job_id="j", queue="q", submit_s=0, duration_s=1, num_gpus_ratio=8.0)
