"""Training, queueing, sharing and serving at first order, by hand and by property."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan.conftest import the_catalog
from tests.plan.test_more_never_makes_it_worse import campaign

from clusterwright import compute
from clusterwright.compute.queueing import erlang_c
from clusterwright.errors import UnknownName
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.model.work import Case, Experiments, Processing, Seats, Simulation, Spread
from clusterwright.twin import Setting, run


def test_the_flops_of_a_token_are_six_a_parameter_and_attention():
    # GPT-3: 6 x 174.6e9 + 12 x 96 x 12288 x 2048 (PaLM, appendix B).
    shape = compute.shape_of(the_catalog().preset("gpt3-175b"))
    assert shape.token_flop == pytest.approx(6 * 174.6e9 + 12 * 96 * 12288 * 2048)


@given(st.floats(1, 1e5))
def test_counts_are_rounded_up_to_what_can_be_bought(needed):
    count = compute.rounded_up(needed, num_per_server=8, unit_servers=32)
    assert count >= needed
    assert count % (8 if count <= 256 else 256) == 0


def test_the_accelerators_needed_do_finish_in_time_and_fewer_do_not():
    one = campaign()

    def took(count):
        shown = compute.strategies(one, count, pool="training", goodput=0.9)
        return next(strategy for strategy in shown if strategy.chosen).duration_s

    count = compute.accelerators_needed(
        one, goodput_fraction=0.9, num_per_server=8, unit_servers=32
    )
    assert count % 256 == 0
    assert took(count) <= one.work.within_s < took(count - 256)


@pytest.mark.parametrize(
    ("channels", "load", "waits"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (10, 8.0, 0.4092)],
)
def test_erlang_c_is_that_of_the_tables(channels, load, waits):
    # One channel: the load itself. Ten channels at eight erlangs: Cooper, "Queueing", table A.2.
    assert erlang_c(channels, load) == pytest.approx(waits, abs=2e-3)


def stream(**changes):
    given_values = {
        "name": "x",
        "jobs_per_day": 200.0,
        "gpus_fraction": {1: 1.0},
        "duration": Spread(median_s=3600.0, p95_s=4 * 3600.0),
    }
    return Experiments(**{**given_values, **changes})


def test_a_lognormal_goes_through_both_points():
    mu, sigma = compute.lognormal(Spread(median_s=100.0, p95_s=900.0))
    drawn = np.random.default_rng(1).lognormal(mu, sigma, 400_000)
    assert np.median(drawn) == pytest.approx(100, rel=0.02)
    assert np.percentile(drawn, 95) == pytest.approx(900, rel=0.03)


@given(st.floats(10, 2000), st.floats(60, 36000))
def test_a_pool_sized_for_a_wait_keeps_it_and_a_longer_one_needs_no_more(per_day, wait):
    load = compute.offered(stream(jobs_per_day=per_day))
    gpus = compute.gpus_needed(load, p95_wait_s=wait, utilization=0.65, step=8)
    assert compute.wait_p95_s(load, gpus) <= wait
    longer = compute.gpus_needed(load, p95_wait_s=2 * wait, utilization=0.65, step=8)
    assert longer <= gpus


def test_the_twin_waits_about_as_long_as_the_approximation_says():
    """First order: within a factor of three of the twin for jobs of one accelerator."""
    one = stream(jobs_per_day=300.0)
    load = compute.offered(one)
    gpus = 24
    predicted = compute.wait_p95_s(load, gpus)
    rng = np.random.default_rng(4)
    span = 400 * 86400.0
    count = int(span * one.jobs_per_day / 86400)
    mu, sigma = compute.lognormal(one.duration)
    jobs = tuple(
        Job(job_id=str(i), queue="q", submit_s=float(t), duration_s=float(d), num_gpus_ratio=1.0)
        for i, (t, d) in enumerate(
            zip(np.sort(rng.uniform(0, span, count)), rng.lognormal(mu, sigma, count), strict=True)
        )
    )
    cluster = Cluster(groups=(NodeGroup(queue="q", num_nodes=gpus // 8, gpus_per_node=8),))
    outcome = run(cluster, jobs, Setting())
    measured = float(np.percentile([record.waited_s for record in outcome.records], 95))
    assert predicted / 3 <= measured <= predicted * 3


def test_seats_take_slices_and_whole_accelerators():
    h100 = the_catalog().accelerator("H100")
    seats = Seats(name="s", num_people=120, gpu="1g.10gb")
    assert compute.seat_gpus(seats, h100, active=0.6) == math.ceil(72 / 7)
    assert compute.seat_gpus(replace(seats, gpu="whole"), h100, active=0.5) == 60
    with pytest.raises(UnknownName, match=r"1g\.10gb"):
        compute.seat_gpus(replace(seats, gpu="1g.11gb"), h100, active=0.5)


def test_cases_run_in_whole_waves():
    # 8 h hold 320 waves of 90 s: 6,250 cases at once, four cores each.
    batch = Simulation(
        name="s",
        num_cases=2e6,
        case=Case(num_cpus=4, duration_s=90.0),
        within_s=8 * 3600.0,
    )
    assert compute.simulation_cores(batch) == 25_000


def test_processing_keeps_up_with_the_inflow():
    flow = Processing(name="p", input_bytes_per_s=1e15 / 86400, core_bytes_per_s=20e6)
    assert compute.processing_cores(flow) == 579


def test_a_measured_model_on_a_measured_accelerator_is_taken_as_it_is():
    parts = the_catalog()
    rows = [
        (row, parts.presets[row.model], parts.accelerators[row.accelerator])
        for row in parts.inference.values()
    ]
    h100 = parts.accelerator("H100")
    active = parts.preset("llama-2-70b").num_active_parameters
    found = compute.throughput(active, "llama-2-70b", h100, rows, scenario="Server")
    assert not found.estimated
    assert (
        found.output_tokens_per_s
        == parts.inference["H100-SXM5-80GB llama-2-70b Server"].output_tokens_per_s
    )
    scaled = compute.throughput(active / 2, "other", h100, rows, scenario="Server")
    assert scaled.estimated
    assert scaled.output_tokens_per_s == pytest.approx(2 * found.output_tokens_per_s)
