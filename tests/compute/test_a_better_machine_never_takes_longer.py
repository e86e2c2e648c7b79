"""Properties of step time and memory over every kind of model, machine and strategy."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.compute.questions import question, questions, some_points

from clusterwright.compute.columns import Layouts
from clusterwright.compute.rows import model_flop_of_step
from clusterwright.compute.search import evaluate, search
from clusterwright.compute.sensitivity import INPUTS, elasticities, what_if
from clusterwright.compute.steptime import Steps

ROOM = 1 + 1e-9
FASTER = (
    *("gemm_flop_per_s", "peak16_flop_per_s", "gemm_fraction", "gemm16_fraction"),
    *("memory_bytes_per_s", "scaleup_bytes_per_s", "scaleout_bytes_per_s"),
)
SLOWER = ("scaleup_latency_s", "scaleout_latency_s")


@pytest.mark.parametrize("name", [*FASTER, *SLOWER])
@settings(max_examples=20, deadline=None)
@given(data=st.data(), asked=questions(), factor=st.sampled_from([1.01, 1.5, 2.0, 10.0]))
def test_of_a_rate_or_a_latency(name, data, asked, factor):
    layout = some_points(data.draw, asked)
    better = factor if name in FASTER else 1 / factor
    machine = replace(asked.machine, **{name: getattr(asked.machine, name) * better})
    before, _ = evaluate(asked, layout)
    after, _ = evaluate(replace(asked, machine=machine), layout)
    assert np.all(after.step_s <= before.step_s * ROOM)


def test_of_a_faster_product_where_the_last_stage_sets_the_pace():
    asked = question(
        *("gpt-oss-120b", "V100-SXM2-32GB", "llm-foundry-2023"),
        gpus=8,
        global_batch=48,
        layers=6.0,
        seq_len=1024.0,
    )
    strategy = {
        **dict.fromkeys(("tp", "pp", "dp", "micro_batch", "shard", "expert_tp"), 2.0),
        **dict.fromkeys(("cp", "ep", "sequence_parallel"), 1.0),
        **dict.fromkeys(("recompute", "recomputed", "zero_bubble", "gpipe", "cp_gather"), 0.0),
        "chunks": 4.0,
        "global_batch": 48.0,
        "zero_stage": 3.0,
        "offload": 0.5,
        "grad_bytes": 4.0,
    }
    layout = Layouts(**{name: np.asarray([value]) for name, value in strategy.items()})
    machine = replace(asked.machine, gemm_flop_per_s=asked.machine.gemm_flop_per_s * 1.01)
    before, _ = evaluate(asked, layout)
    after, _ = evaluate(replace(asked, machine=machine), layout)
    assert after.step_s[0] <= before.step_s[0]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), asked=questions())
def test_half_the_batch_never_takes_longer_and_never_more_memory(data, asked):
    layout = some_points(data.draw, asked)
    micro = layout.global_batch / layout.dp / layout.micro_batch
    layout = layout.take(np.flatnonzero(micro % 2 == 0))
    half = replace(layout, global_batch=layout.global_batch / 2)
    before, held = evaluate(asked, layout)
    after, less = evaluate(asked, half)
    assert np.all(after.step_s <= before.step_s * ROOM)
    assert np.all(less.total_bytes <= held.total_bytes * ROOM)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), asked=questions())
def test_no_strategy_passes_the_peak_and_its_parts_sum(data, asked):
    layout = some_points(data.draw, asked)
    step, memory = evaluate(asked, layout)
    gpus = layout.tp * layout.pp * layout.dp * layout.cp
    peak = asked.machine.gemm_flop_per_s
    mfu = model_flop_of_step(asked.model, layout) / (step.step_s * gpus * peak)
    assert np.all(mfu > 0)
    assert np.all(mfu <= 1)
    parts = [getattr(step, one.name) for one in fields(Steps) if one.name != "hidden_s"]
    assert np.allclose(sum(parts), step.step_s)
    assert all(np.all(part >= -1e-12 * step.step_s) for part in [*parts, step.hidden_s])
    assert all(np.all(getattr(memory, one.name) >= 0) for one in fields(memory))


@settings(max_examples=15, deadline=None)
@given(asked=questions(largest=8), name=st.sampled_from(list(INPUTS)))
def test_what_more_would_buy_is_never_less_than_nothing(asked, name):
    found = search(asked)
    assume(len(found))
    factor = 0.5 if name == "latency_s" else 2.0
    # The same strategy on the better machine is one of those to choose from there.
    other = what_if(asked, found.layout, name, factor=factor)
    assert other.step_s <= found.step.step_s[0] * ROOM
    slope = elasticities(asked, found.layout)[name]
    assert np.all(slope >= -1e-9) if name == "latency_s" else np.all(slope <= 1e-9)
