"""The twin's failures against clusters that were watched; tolerances are those of chance."""

import math

import pytest
from tests.plan.conftest import the_catalog

from clusterwright import reliability
from clusterwright.model.cluster import Cluster, NodeGroup
from clusterwright.model.job import Job
from clusterwright.twin import Failures, Lemons, Setting, failures_of, run
from clusterwright.twin.failures import restart_s
from clusterwright.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

DAYS = 54.0
STALL_S = 1.0  # written in the background, as tests/reliability takes it


def a_long_run(num_gpus, failures, *, days, seed, interval_s, others=0):
    """Run one gang for so many days on the nodes that it needs and some others."""
    num_nodes = (num_gpus + others) // 8
    group = NodeGroup(queue="q", num_nodes=num_nodes, gpus_per_node=8, nodes_per_leaf=32)
    job = Job(
        job_id="run",
        queue="q",
        submit_s=0.0,
        duration_s=2 * days * SECONDS_PER_DAY,
        num_gpus_ratio=float(num_gpus),
        checkpoint_interval_s=interval_s,
        checkpoint_stall_s=STALL_S,
        restart_s=restart_s(the_catalog()),
    )
    setting = Setting(failures=failures, horizon_s=days * SECONDS_PER_DAY, seed=seed)
    return run(Cluster(groups=(group,)), (job,), setting)


@pytest.fixture(scope="module")
def llama():
    """Return runs like Llama 3 405B: 54 days on 16,384 of the 24,576 H100 of its cluster."""
    rates = the_catalog().failure_rates.values()
    planned = reliability.assess(
        16384, rates, checkpoint_stall_s=STALL_S, restart_s=900.0, source=""
    )
    outcomes = [
        a_long_run(
            16384,
            failures_of(the_catalog()),
            days=DAYS,
            others=8192,
            seed=seed,
            interval_s=planned.checkpoint_interval_s,
        )
        for seed in range(2)
    ]
    return planned, outcomes


def test_interruptions_of_the_llama_run(llama):
    _, outcomes = llama
    mean = sum(one.records[0].num_interruptions for one in outcomes) / len(outcomes)
    # Published: 419. Chance scatters the mean of two runs by 3.5 %.
    assert mean == pytest.approx(419, rel=0.10)


def test_causes_of_the_llama_run(llama):
    _, outcomes = llama
    seen: dict[str, int] = {}
    for outcome in outcomes:
        for one in outcome.causes:
            effect = the_catalog().failure_effects[one.name]
            seen[effect.component] = seen.get(effect.component, 0) + one.num_interruptions
    for name, rate in the_catalog().failure_rates.items():
        expected = rate.num_events * len(outcomes)
        assert abs(seen[name] - expected) <= 0.1 * expected + 4 * math.sqrt(expected), name


def test_effective_time_of_the_llama_run(llama):
    planned, outcomes = llama
    useful_s = [one.records[0].held_s - one.records[0].lost_s for one in outcomes]
    mean = sum(useful_s) / len(useful_s) / (DAYS * SECONDS_PER_DAY)
    assert mean > 0.90  # published: more than 90 % of the time
    assert mean == pytest.approx(planned.goodput_fraction, abs=0.03)  # and the formula


@pytest.mark.parametrize(
    ("num_gpus", "hours"),
    [
        (16384, 1.8),
        pytest.param(
            1024,
            7.9,
            marks=pytest.mark.xfail(
                reason="measured; a constant rate gives 28.8 h, as reliability.csv says",
                strict=True,
            ),
        ),
    ],
)
def test_mean_time_to_failure_of_the_research_cluster(num_gpus, hours):
    # RSC-1: 6.50 failures per 1,000 node-days of 8 accelerators (arXiv 2410.21680).
    failures = Failures.of_nodes(per_gpu_day=6.5e-3 / 8, repair_s=60.0)
    days = 30.0 if num_gpus > 10_000 else 365.0
    outcome = a_long_run(num_gpus, failures, days=days, seed=1, interval_s=600.0)
    between = outcome.records[0].held_s / outcome.records[0].num_interruptions
    assert between / SECONDS_PER_HOUR == pytest.approx(hours, rel=0.15)


def test_lemons_that_are_taken_out_take_their_failures_with_them():
    # RSC: large jobs failed in 14 % of the cases with lemons and in 4 % without, which is 27 % of
    # the rate; what is left here is that, and what lemons do until they are known.
    plain = failures_of(the_catalog(), lemons=True)
    assert plain.lemons is not None
    stay = Lemons(share_fraction=0.012, rate_ratio=220, out_after=None)
    counts = {}
    for name, lemons in (("stay", stay), ("out", plain.lemons), ("none", None)):
        failures = Failures(causes=plain.causes, swap_s=plain.swap_s, lemons=lemons)
        outcome = a_long_run(4096, failures, days=180, seed=3, interval_s=600.0)
        counts[name] = sum(one.num_nodes_lost for one in outcome.causes)
    assert counts["stay"] == pytest.approx(counts["none"], rel=0.2)
    assert counts["out"] < 0.6 * counts["stay"]
