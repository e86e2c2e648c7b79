"""Questions for the search, from the catalogue and at random."""

from dataclasses import fields, replace
from functools import cache

import numpy as np
from hypothesis import strategies as st

from clusterwright import catalog
from clusterwright.compute import stack
from clusterwright.compute.columns import Transformers
from clusterwright.compute.models import columns_of
from clusterwright.compute.predict import values_of
from clusterwright.compute.search import Question
from clusterwright.compute.space import enumerate_space

MODELS = (
    *("llama-2-7b", "llama-3.1-8b", "gpt3-175b", "mixtral-8x7b", "deepseek-v3", "gpt-oss-120b"),
    "qwen3-30b-a3b",
)
ACCELERATORS = ("V100-SXM2-32GB", "A100-SXM4-80GB", "H100-SXM5-80GB", "GB200-per-GPU", "MI300X")
SOFTWARE = ("megatron-lm-2021", "llm-foundry-2023", "torchtitan-2024", "megatron-core-2025")


@cache
def parts():
    return catalog.load()


def machine_of(accelerator, software, *, experts=0, precision="bf16"):
    case = stack.Case(
        accelerator=parts().accelerator(accelerator),
        software=parts().software[software],
        precision=precision,
        num_experts=int(experts),
    )
    given = stack.setting([case], parts().step_factors)
    machine, found = stack.apply(given, values_of(parts()))
    return machine.only(), found.only()


def model_of(preset, **changed):
    columns = columns_of(parts().preset(preset)) | changed
    return Transformers(**{name: np.asarray(value, dtype=float) for name, value in columns.items()})


def question(
    model="llama-2-7b",
    accelerator="A100-SXM4-80GB",
    software="megatron-core-2024",
    *,
    gpus=16,
    global_batch=64,
    memory=1.0,
    fixed=None,
    **changed,
):
    shape = model_of(model, **changed)
    machine, software = machine_of(accelerator, software, experts=float(shape.experts))
    machine = replace(machine, memory_bytes=machine.memory_bytes * memory)
    selective = not software.fused_attention or software.selective > 0
    space = enumerate_space(
        shape, gpus=gpus, global_batch=global_batch, fixed=fixed, selective=bool(selective)
    )
    return Question(model=shape, machine=machine, stack=software, space=space)


@st.composite
def questions(draw, largest=16):
    """Small spaces of all kinds of models, machines and software, short of memory or not."""
    gpus = draw(st.sampled_from([n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if n <= largest]))
    model = draw(st.sampled_from(MODELS))
    return question(
        model,
        draw(st.sampled_from(ACCELERATORS)),
        draw(st.sampled_from(SOFTWARE)),
        gpus=gpus,
        global_batch=gpus * draw(st.sampled_from([1, 2, 6, 8])),
        memory=draw(st.sampled_from([0.2, 0.5, 1.0, 3.0, 12.0])),
        layers=draw(st.sampled_from([6.0, 8.0, 16.0, 30.0])),
        seq_len=draw(st.sampled_from([1024.0, 4096.0])),
    )


def some_points(draw, asked, most=2000):
    """Return strategies of one split of a question's space, drawn."""
    split = draw(st.integers(0, asked.space.num_splits - 1))
    layout = asked.space.points_of(split)
    size = np.size(layout.zero_stage)
    seed = draw(st.integers(0, 2**16))
    chosen = np.random.default_rng(seed).integers(0, size, min(size, most))
    return spread(layout.take(chosen), len(chosen))


def spread(columns, size):
    """Return columns with single values repeated."""
    names = [one.name for one in fields(columns)]
    values = {name: np.broadcast_to(getattr(columns, name), (size,)).copy() for name in names}
    return type(columns)(**values)
