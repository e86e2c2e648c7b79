"""Every input of the step model moves a time or a memory, or stands below with a reason."""

from dataclasses import fields, replace

import numpy as np
import pytest
from tests.compute.questions import question

from clusterwright.compute.columns import Layouts, Machines, Stacks, Transformers
from clusterwright.compute.footprint import Footprint
from clusterwright.compute.search import evaluate, search
from clusterwright.compute.steptime import Steps

WITHOUT_EFFECT = {
    # Reviewed: a line leaves when its input comes alive, and needs a reason to be let in.
    "Machines.memory_bytes": "decides what fits, not how long it takes: test_memory_decides below",
    "Machines.peak32_flop_per_s": "heads of a width that no preset has: test_scores_of_heads_that_"
    "tensor_cores_cannot_load in test_operators_take_the_time_of_their_shape",
}
PLAIN = {
    "tp": 8,
    "pp": 4,
    "dp": 4,
    "cp": 2,
    "ep": 1,
    "expert_tp": 8,
    "chunks": 2,
    "micro_batch": 2,
    "global_batch": 64,
    "zero_stage": 1,
    "shard": 8,
    "recompute": 2,
    "recomputed": 0.5,
    "sequence_parallel": 1,
    "zero_bubble": 0,
    "gpipe": 0,
    "cp_gather": 0,
    "offload": 0.5,
    "grad_bytes": 4,
}
CASES = {
    "scores in memory": ("gpt3-175b", "A100-SXM4-80GB", "megatron-lm-2021", {}),
    "attention recomputed, sharded over half the replicas": (
        *("gpt3-175b", "A100-SXM4-80GB", "megatron-lm-2021"),
        {"recompute": 1, "recomputed": 1, "pp": 1, "chunks": 1, "zero_stage": 3, "shard": 4},
    ),
    "latent attention and whole experts": (
        *("deepseek-v3", "H100-SXM5-80GB", "megatron-core-2025"),
        {"ep": 8, "expert_tp": 1, "tp": 2, "dp": 16},
    ),
    "windows, products recomputed": (
        *("gpt-oss-120b", "GB200-per-GPU", "torchtitan-2024"),
        {"ep": 8, "expert_tp": 1, "zero_stage": 3, "pp": 1, "chunks": 1, "recompute": 1},
    ),
    "coarse experts cut over tensor ranks": (
        *("mixtral-8x7b", "H100-SXM5-80GB", "megatron-core-2025"),
        {"ep": 4, "recompute": 0, "offload": 0},
    ),
    "context parallel alone": (
        *("llama-3.1-8b", "H100-SXM5-80GB", "megatron-core-2025"),
        {"tp": 1, "dp": 1, "cp": 8, "pp": 1, "chunks": 1, "recompute": 0, "micro_batch": 1},
    ),
}
KINDS = {"model": Transformers, "machine": Machines, "stack": Stacks, "layout": Layouts}


def answer(asked, layout):
    step, memory = evaluate(asked, layout)
    parts = [getattr(step, one.name) for one in fields(Steps)]
    parts += [getattr(memory, one.name) for one in fields(Footprint)]
    return np.asarray([float(np.ravel(part)[0]) for part in parts])


@pytest.fixture(scope="module")
def cases():
    found = []
    for model, accelerator, software, changed in CASES.values():
        columns = {name: np.asarray([float(value)]) for name, value in (PLAIN | changed).items()}
        found.append((question(model, accelerator, software), Layouts(**columns)))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_moves_something_or_says_why_not(kind, cases):
    dead = set()
    for one in fields(KINDS[kind]):
        if not any(moves(kind, one.name, asked, layout) for asked, layout in cases):
            dead.add(f"{KINDS[kind].__name__}.{one.name}")
    known = {name for name in WITHOUT_EFFECT if name.startswith(KINDS[kind].__name__)}
    assert dead == known


def moves(kind, name, asked, layout):
    before = answer(asked, layout)
    given = layout if kind == "layout" else getattr(asked, kind)
    value = getattr(given, name)
    for other in (value * 1.5, value * 0.5, 1.0 - value, value + 1.0):
        changed = replace(given, **{name: np.asarray(other)})
        with np.errstate(all="ignore"):  # some of these are no machines or models at all
            if kind == "layout":
                after = answer(asked, changed)
            else:
                after = answer(replace(asked, **{kind: changed}), layout)
        if not np.allclose(after, before, rtol=1e-12, atol=0.0, equal_nan=True):
            return True
    return False


def test_memory_decides():
    small, large = (question(gpus=8, global_batch=16, memory=size) for size in (0.3, 1.0))
    few, many = search(small, exhaustive=True), search(large, exhaustive=True)
    assert few.num_feasible < many.num_feasible
    assert few.step.step_s[0] > many.step.step_s[0]
