"""Figures that are known otherwise, and what each slip of a unit does to them.

Each figure holds as the code is; with the slip it misses. So no slip goes through unseen.
"""

from dataclasses import replace

import numpy as np
import pytest
from tests.compute.questions import machine_of, question

from clusterwright.compute.columns import Layouts
from clusterwright.compute.search import evaluate

GIB = 1024**3 / 1e9
BITS = 8.0

# Datasheet of the A100 SXM4 80 GB and of DGX A100: 80 GB, 2.039 TB/s, 312 TFLOP/s dense in bf16,
# NVLink 600 GB/s both ways, eight to a server, one 200 Gbit/s port each.
DATASHEET = {
    "memory_bytes": (80e9, GIB),
    "memory_bytes_per_s": (2.039e12, BITS),
    "gemm_flop_per_s": (312e12, 2.0),  # the sparse peak
    "scaleup_bytes_per_s": (300e9, 2.0),  # both directions counted
    "scaleout_bytes_per_s": (25e9, BITS),
}


@pytest.mark.parametrize(("name", "golden", "slip"), [(n, *v) for n, v in DATASHEET.items()])
def test_in_a_machine(name, golden, slip):
    machine, _ = machine_of("A100-SXM4-80GB", "megatron-lm-2021")
    close = pytest.approx(golden, rel=0.01)
    assert float(getattr(machine, name)) == close
    for wrong in (slip, 1 / slip):
        assert float(getattr(machine, name)) * wrong != close


def published():
    """GPT-3 on 384 A100 in batches of 1,536: 153 TFLOP/s each.

    Source: Narayanan et al., "Efficient Large-Scale Language Model Training on GPU Clusters", 2021,
    table 2 (tensor 8, pipeline 12, 312 TFLOP/s peak).
    """
    asked = question("gpt3-175b", "A100-SXM4-80GB", "megatron-lm-2021", gpus=384, vocab=51200.0)
    ones = dict.fromkeys(("cp", "ep", "chunks", "micro_batch", "recomputed"), 1.0)
    zeros = dict.fromkeys(
        ("zero_stage", "sequence_parallel", "zero_bubble", "gpipe", "cp_gather", "offload"), 0.0
    )
    layout = {"tp": 8.0, "pp": 12.0, "dp": 4.0, "expert_tp": 8.0, "shard": 4.0, "recompute": 2.0}
    layout |= {"global_batch": 1536.0, "grad_bytes": 2.0, **ones, **zeros}
    return asked, Layouts(**{name: np.asarray([value]) for name, value in layout.items()})


def test_in_the_weights():
    """1/96 of 174.6 B parameters in 16 bits, and the embedding on the first stage."""
    asked, layout = published()
    table = 51200 * 12288 / 8 * 2
    golden = (174.6e9 - 51200 * 12288) / 96 * 2 + table
    weights = float(evaluate(asked, layout)[1].weights_bytes[0])
    close = pytest.approx(golden, rel=0.01)
    assert weights == close
    assert weights * GIB != close
    assert weights / GIB != close


# Slips that move this run by more than its 20 %; the links move it less, and stand above.
@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("gemm_flop_per_s", 2.0),
        ("gemm_flop_per_s", 0.5),
        ("memory_bytes_per_s", 1 / BITS),
        ("scaleup_bytes_per_s", 1 / BITS),
    ],
)
def test_in_the_time_of_a_published_run(name, factor):
    asked, layout = published()
    # Its FLOPs are counted with the recomputed forward pass: 96·B·s·l·h²·(1 + s/6h + V/16lh).
    b, s, n, h, v = 1536.0, 2048.0, 96.0, 12288.0, 51200.0
    flop = 96 * b * s * n * h**2 * (1 + s / (6 * h) + v / (16 * n * h))
    golden = flop / (384 * 153e12)
    close = pytest.approx(golden, rel=0.2)
    assert float(evaluate(asked, layout)[0].step_s[0]) == close
    machine = replace(asked.machine, **{name: getattr(asked.machine, name) * factor})
    assert float(evaluate(replace(asked, machine=machine), layout)[0].step_s[0]) != close


def test_in_tokens_and_money():
    """A rate is a step's tokens over its time; a dollar buys an hour's share of them."""
    from clusterwright.cli import strategies
    from clusterwright.compute.search import search

    asked = question("llama-2-7b", gpus=8, global_batch=64)
    terms = strategies.Terms(
        usd_per_accelerator_hour=2.0,
        price_basis="",
        accelerator_power_w=700.0,
        power_basis="",
        error_bar_fraction=0.1,
        error_basis="",
    )
    best = strategies.items(search(asked), asked, terms, gpus=8)[0]
    tokens = 64 * 4096
    assert best["tokens_per_s"] * best["step_time_s"] == pytest.approx(tokens)
    usd = best["step_time_s"] / 3600 * 8 * 2.0
    assert best["tokens_per_usd"] * usd == pytest.approx(tokens)
    assert best["tokens_per_j"] * best["step_time_s"] * 8 * 700 == pytest.approx(tokens)
