"""What the space enumerates is what a practitioner can set, each strategy once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compute.questions import question, questions, spread

from clusterwright.compute.space import CHOSEN, enumerate_space, padded
from clusterwright.errors import UnknownName


def every(space):
    for split in range(space.num_splits):
        layout = space.points_of(split)
        yield spread(layout, np.size(layout.zero_stage))


@settings(max_examples=20, deadline=None)
@given(asked=questions(largest=12))
def test_ranks_batches_and_widths_divide(asked):
    model, counted = asked.model, 0
    gpus = {
        float(n)
        for n in asked.space.paces.tp
        * asked.space.paces.pp
        * asked.space.paces.dp
        * asked.space.paces.cp
    }
    assert len(gpus) <= 1
    for one in every(asked.space):
        counted += len(one.tp)
        replicas = one.dp * one.cp
        assert np.all(one.tp * one.pp * replicas == gpus.copy().pop())
        assert np.all(replicas % one.ep == 0)
        assert np.all(model.heads % one.tp == 0)
        assert np.all(model.ffn % one.tp == 0)
        assert np.all((model.kv_rank > 0) | (model.kv_heads % one.tp == 0))
        assert np.all(padded(model, one).vocab % (128 * one.tp) == 0)
        if model.experts > 0:
            assert np.all(model.experts % one.ep == 0)
            assert np.all(one.tp % one.expert_tp == 0)
        else:
            assert np.all(one.ep == 1)
        assert np.all((one.cp == 1) | (model.seq_len % (2 * one.cp) == 0))
        assert np.all((one.sequence_parallel == 0) | (model.seq_len / one.cp % one.tp == 0))
        micro = one.global_batch / one.dp / one.micro_batch
        assert np.all(micro % 1 == 0)
        assert np.all(micro >= 1)
        # Schedules.
        parts = one.pp * one.chunks
        assert np.all(parts <= model.layers + 2)
        even = (model.layers % parts == 0) | ((model.layers + 2) % parts == 0)
        assert np.all((one.chunks == 1) | (even & (one.pp > 1) & (micro % one.pp == 0)))
        assert np.all(one.gpipe + one.zero_bubble + (one.chunks > 1) <= 1)
        assert np.all((one.pp > 1) | (one.gpipe + one.zero_bubble == 0))
        # States.
        assert np.all(replicas % one.shard == 0)
        assert np.all((one.zero_stage > 0) | (one.shard == replicas))
        assert np.all((one.zero_stage == 0) | (one.shard > 1))
        assert np.all((one.offload == 0) | (one.zero_stage > 0) | (replicas == 1))
        # Options that mean nothing there are not counted twice.
        assert np.all((one.tp > 1) | (one.sequence_parallel == 0))
        assert np.all((one.cp > 1) | (one.cp_gather == 0))
        assert np.all((one.recompute > 0) == (one.recomputed > 0))
        table = np.stack([getattr(one, name) for name in CHOSEN], axis=1)
        assert len(np.unique(table, axis=0)) == len(table)
    assert counted == asked.space.num_points


def test_splits_are_all_factorisations_that_the_rules_leave():
    space = question("llama-2-7b", gpus=24, global_batch=24).space
    found = {
        tuple(int(getattr(one, name)[0]) for name in ("tp", "pp", "dp", "cp"))
        for one in every(space)
    }
    by_hand = {
        (tp, pp, dp, cp)
        for tp in (1, 2, 4, 8)  # divisors of 24 that divide 32 heads and a width of 11,008
        for pp in range(1, 25)
        for dp in range(1, 25)
        for cp in (1, 2, 4, 8)  # twice as many divide 4,096
        if tp * pp * dp * cp == 24
    }
    assert found == by_hand


@settings(max_examples=15, deadline=None)
@given(
    data=st.data(),
    names=st.lists(st.sampled_from(CHOSEN), min_size=1, max_size=3, unique=True),
)
def test_fixed_choices_leave_exactly_the_strategies_that_have_them(data, names):
    whole = question("mixtral-8x7b", gpus=8, global_batch=16).space
    every_one = list(every(whole))
    split = data.draw(st.sampled_from(every_one))
    row = data.draw(st.integers(0, len(split.tp) - 1))
    fixed = {name: float(getattr(split, name)[row]) for name in names}
    part = question("mixtral-8x7b", gpus=8, global_batch=16, fixed=fixed).space
    wanted = sum(
        int(np.all([getattr(one, name) == value for name, value in fixed.items()], axis=0).sum())
        for one in every_one
    )
    assert part.num_points == wanted > 0


def test_a_fixed_choice_that_nobody_knows_is_refused():
    with pytest.raises(UnknownName, match="zero_stage"):
        question(fixed={"zero_stag": 1.0})


def test_what_rules_turn_down_is_counted():
    space = enumerate_space(question().model, gpus=7, global_batch=5)
    assert space.num_points == 0 or space.rejected
    assert space.rejected == {"batch": 1, "heads": 1, "sequence": 1}
