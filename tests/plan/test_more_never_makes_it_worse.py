"""Monotonicity: a faster part never lengthens, a longer deadline never costs more."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.conftest import ROOT, demand_of, the_catalog

from clusterwright import compute, reliability
from clusterwright.compute import Campaign, Hardware, TrainingWork

FACTORS = st.floats(min_value=1.0, max_value=8.0)


def work(tokens=3e12):
    return TrainingWork(
        name="work",
        model=the_catalog().preset("llama-3.1-70b"),
        num_tokens=tokens,
        within_s=14 * 86400,
        precision="bf16",
        num_global_batch=2048,
    )


def hardware(**changes):
    parts = the_catalog()
    base = parts.accelerator("H100")
    faster = changes.get("peak", 1.0)
    accelerator = replace(
        base,
        peak_flop_per_s={name: peak * faster for name, peak in base.peak_flop_per_s.items()},
        # A part with a higher peak reaches more in the same measurement, within the same power.
        measured_bf16_flop_per_s=base.measured_bf16_flop_per_s * faster,
        memory_bytes=base.memory_bytes * changes.get("memory", 1.0),
        memory_speed_bytes_per_s=base.memory_speed_bytes_per_s * changes.get("memory_speed", 1.0),
        scaleup_bytes_per_s=base.scaleup_bytes_per_s * changes.get("scaleup", 1.0),
        nic_bytes_per_s=base.nic_bytes_per_s * changes.get("nic", 1.0),
    )
    return Hardware(
        accelerator=accelerator,
        precision="bf16",
        software=parts.software["megatron-core-2025"],
        factors=parts.step_factors,
        error=parts.step_errors["*"],
        checked=True,
        num_per_server=8,
        reserve_fraction=0.1,
        checkpoint_bytes_per_parameter=13.06,
    )


def campaign(**changes):
    return Campaign(work(), hardware(**changes))


def duration(count=1024, goodput=1.0, **changes):
    shown = compute.strategies(campaign(**changes), count, pool="training", goodput=goodput)
    return next(one for one in shown if one.chosen).duration_s


@settings(deadline=None)
@given(FACTORS, st.sampled_from(["peak", "memory", "memory_speed", "scaleup", "nic"]))
def test_a_better_part_never_lengthens_training(factor, what):
    assert duration(**{what: factor}) <= duration() * (1 + 1e-12)


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=16))
def test_more_accelerators_never_lengthen_training(doublings):
    count = 256 * doublings
    assert duration(count + 256) <= duration(count) * (1 + 1e-9)


@settings(deadline=None)
@given(st.floats(min_value=0.2, max_value=1.0), st.floats(min_value=0.2, max_value=1.0))
def test_better_goodput_never_lengthens_training(one, other):
    low, high = sorted((one, other))
    assert duration(goodput=high) <= duration(goodput=low)


@given(st.integers(min_value=8, max_value=200_000), FACTORS)
def test_goodput_falls_with_size_and_rises_with_faster_checkpoints(size, factor):
    def goodput(count, stall):
        return reliability.assess(
            count,
            the_catalog().failure_rates.values(),
            checkpoint_stall_s=stall,
            restart_s=900.0,
            source="",
        ).goodput_fraction

    assert 0 < goodput(size, 5.0) <= 1
    assert goodput(int(size * factor), 5.0) <= goodput(size, 5.0) * (1 + 1e-9)
    assert goodput(size, 5.0 / factor) >= goodput(size, 5.0) * (1 - 1e-9)


@settings(max_examples=12, deadline=None)
@given(st.floats(min_value=1.0, max_value=4.0))
def test_a_longer_deadline_never_takes_more_accelerators(factor):
    from clusterwright import plan

    demand = demand_of(ROOT / "examples/autonomous-driving/by-deadline.yaml")
    first, *rest = demand.workloads
    first = replace(first, every_s=None)

    def pool(within):
        changed = replace(demand, workloads=(replace(first, within_s=within), *rest))
        design = plan.plan(changed, the_catalog())
        return next(p.num_accelerators for p in design.spec.compute.pools if p.role == "training")

    assert pool(first.within_s * factor) <= pool(first.within_s)


@pytest.mark.parametrize("rack_power", [45e3, 60e3, 90e3])
def test_more_rack_power_never_takes_more_racks(rack_power):
    from clusterwright import plan

    demand = demand_of(ROOT / "examples/autonomous-driving/centre.yaml")

    def racks(power):
        site = replace(demand.site, rack_power_w=power)
        return plan.plan(replace(demand, site=site), the_catalog()).spec.facility.num_racks

    assert racks(rack_power * 1.5) <= racks(rack_power)
