"""Both ways of searching agree on every space, and the reasons for that hold one by one."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compute.questions import question, questions, some_points, spread

from clusterwright.compute.columns import Layouts
from clusterwright.compute.footprint import Footprint
from clusterwright.compute.search import evaluate, search
from clusterwright.compute.space import CHOSEN
from clusterwright.compute.steptime import Steps

STATE = ("dp_s", "update_s", "hidden_s")


def same(one, other):
    assert len(one) == len(other)
    for name in CHOSEN:
        np.testing.assert_array_equal(getattr(one.layout, name), getattr(other.layout, name), name)
    np.testing.assert_array_equal(one.step.step_s, other.step.step_s)


@settings(max_examples=60, deadline=None)
@given(asked=questions(), top=st.sampled_from([1, 1, 3, 10_000]))
def test_on_small_spaces_of_all_kinds(asked, top):
    every = search(asked, exhaustive=True, top=top)
    assert every.num_evaluated == asked.space.num_points
    few = search(asked, top=top)
    same(every, few)
    assert few.num_evaluated <= every.num_evaluated
    if len(every) == 0:
        # Whoever asks why gets the same answer: what the leanest strategy lacks.
        assert few.leanest_bytes == every.leanest_bytes


@pytest.mark.parametrize(
    ("model", "gpus", "batch"),
    [("gpt3-175b", 256, 512), ("llama-3.1-405b", 768, 384), ("mixtral-8x7b", 64, 128)],
)
def test_on_spaces_of_millions(model, gpus, batch):
    asked = question(model, gpus=gpus, global_batch=batch)
    assert asked.space.num_points > 2_000_000
    same(search(asked, exhaustive=True, top=5), search(asked, top=5))


def test_the_space_of_gpt3_on_1024_holds_five_million_strategies():
    asked = question("gpt3-175b", software="megatron-lm-2022", gpus=1024, global_batch=1024)
    assert asked.space.num_points >= 5_000_000


@settings(max_examples=20, deadline=None)
@given(asked=questions())
def test_a_known_strategy_cuts_the_search_and_not_its_answer(asked):
    every = search(asked)
    if len(every):
        same(every, search(asked, at_most_s=float(every.step.step_s[0])))


@settings(max_examples=30, deadline=None)
@given(data=st.data(), asked=questions())
def test_a_state_touches_only_parameter_traffic_and_update(data, asked):
    layout = some_points(data.draw, asked)
    plain = replace(
        layout, zero_stage=0.0 * layout.tp, shard=layout.dp * layout.cp, offload=0.0 * layout.tp
    )
    mine, other = evaluate(asked, layout)[0], evaluate(asked, plain)[0]
    for part in fields(Steps):
        if part.name not in STATE:
            np.testing.assert_array_equal(getattr(mine, part.name), getattr(other, part.name))
    assert np.all(mine.dp_s >= 0)
    assert np.all(mine.update_s >= 0)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), asked=questions())
def test_computing_again_never_shortens_a_step(data, asked):
    layout = some_points(data.draw, asked)
    nothing = replace(layout, recompute=0.0 * layout.tp, recomputed=0.0 * layout.tp)
    less, more = evaluate(asked, nothing)[0], evaluate(asked, layout)[0]
    # Without traffic and update: longer work hides more of them.
    assert np.all(kept_s(less) <= kept_s(more) * (1 + 1e-12))


def kept_s(step):
    return step.step_s - step.dp_s - step.update_s


@settings(max_examples=30, deadline=None)
@given(data=st.data(), asked=questions())
def test_the_leanest_state_is_one_of_two(data, asked):
    layout = some_points(data.draw, asked)
    states = asked.space.states[int(layout.dp[0] * layout.cp[0])]
    lean = {"offload": states.offload.max(), "grad_bytes": states.grad_bytes.min()}
    least = np.inf
    for stage in np.unique(states.zero_stage)[-2:]:
        of_stage = {"zero_stage": stage, "shard": layout.dp * layout.cp}
        changed = {
            name: np.broadcast_to(value, layout.tp.shape)
            for name, value in (lean | of_stage).items()
        }
        memory = evaluate(asked, replace(layout, **changed))[1].total_bytes
        least = np.minimum(least, memory)
    assert np.all(least <= evaluate(asked, layout)[1].total_bytes * (1 + 1e-12))


@settings(max_examples=12, deadline=None)
@given(asked=questions(largest=8), seed=st.integers(0, 2**16))
def test_crossing_gives_what_a_flat_table_gives(asked, seed):
    """The model broadcasts: routines against states cost what their pairs cost, bit for bit."""
    found = search(asked, exhaustive=True, top=10_000)
    best = {}
    for split in range(asked.space.num_splits):
        layout = asked.space.points_of(split)
        layout = spread(layout, np.size(layout.zero_stage))
        step, memory = evaluate(asked, layout)
        fits = np.flatnonzero(memory.total_bytes <= asked.machine.memory_bytes)
        if len(fits):
            best[split] = step.step_s[fits].min()
    assert sorted(best.values()) == list(found.step.step_s)
    assert len(found) == len(best)


@settings(max_examples=12, deadline=None)
@given(data=st.data(), asked=questions())
def test_the_order_of_strategies_changes_no_answer(data, asked):
    layout = some_points(data.draw, asked, most=200)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(layout.tp))
    step, memory = evaluate(asked, layout)
    other_step, other_memory = evaluate(asked, layout.take(order))
    for kind, one, other in ((Steps, step, other_step), (Footprint, memory, other_memory)):
        for part in fields(kind):
            mine = np.broadcast_to(getattr(one, part.name), order.shape)
            np.testing.assert_array_equal(
                mine[order], np.broadcast_to(getattr(other, part.name), order.shape), part.name
            )


def test_the_order_of_splits_changes_only_ties():
    asked = question(gpus=8, global_batch=32)
    space = asked.space
    splits = [np.arange(space.starts[n], space.starts[n + 1]) for n in range(space.num_splits)]
    turned = np.concatenate(splits[::-1])
    backwards = replace(
        space,
        paces=space.paces.take(turned),
        starts=np.append(0, np.cumsum([len(one) for one in splits[::-1]])).astype(np.intp),
        blocks_per_chunk=space.blocks_per_chunk[turned],
    )
    one, other = search(asked, top=99), search(replace(asked, space=backwards), top=99)
    np.testing.assert_array_equal(one.step.step_s, other.step.step_s)
    assert len(one) == len(other)


def test_layouts_of_an_answer_have_all_columns():
    found = search(question(gpus=4, global_batch=8), top=3)
    assert all(getattr(found.layout, one.name).shape == (len(found),) for one in fields(Layouts))
