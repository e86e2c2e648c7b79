"""Kernels, memory and counts by hand, and what shapes do to them."""

import numpy as np
import pytest
from tests.compute.runs import layout_columns, layout_row, machine_and_stack, model_columns

from clusterwright.compute import counts
from clusterwright.compute.blocks import blocks, slowest_of
from clusterwright.compute.footprint import footprint
from clusterwright.compute.kernels import attention_s, gemm_s, head_speed
from clusterwright.compute.rows import layouts


def gemm(m, n, k, part="A100-80GB", precision="bf16", **rest):
    machine, _ = machine_and_stack(part, precision)
    return float(gemm_s(np.asarray(m), np.asarray(n), np.asarray(k), machine, **rest))


def test_a_large_product_runs_near_the_measured_peak():
    flop = 2.0 * 8192**3
    machine, _ = machine_and_stack("A100-80GB", "bf16")
    share = flop / gemm(8192.0, 8192.0, 8192.0) / 312e12
    assert 0.85 <= share / float(machine.gemm_fraction) <= 1.0


def test_one_row_more_than_a_wave_takes_longer_than_its_flops():
    # 108 units hold a wave of 12 × 9 tiles of 256 × 128: one tile row more begins another wave.
    full, over = gemm(256 * 12.0, 128 * 9.0, 4096.0), gemm(256 * 12.0 + 1, 128 * 9.0, 4096.0)
    assert over / full > 1.04


def test_a_shallow_product_is_slower_for_its_flops():
    deep, shallow = gemm(4096.0, 4096.0, 8192.0), gemm(4096.0, 4096.0, 256.0)
    assert shallow / 256 > 1.2 * deep / 8192


def test_a_thin_product_takes_as_long_as_its_operands_need_to_be_read():
    machine, _ = machine_and_stack("A100-80GB", "bf16")
    read = 8192.0 * 8192 * 2 / float(machine.memory_bytes_per_s)
    assert gemm(1.0, 8192.0, 8192.0) >= read


@pytest.mark.parametrize(
    ("good", "bad"),
    [(128, 96), (128, 64), (192, 200), (128, 127)],
)
def test_heads_that_do_not_fill_the_units_are_slower(good, bad):
    assert head_speed(np.asarray(float(bad))) < head_speed(np.asarray(float(good)))


def scores_s(head_size, software):
    machine, stack = machine_and_stack("A100-80GB", "bf16", software)
    scores, size, span = np.asarray(32 * 2048.0**2), np.asarray(head_size), np.asarray(2048.0)
    return float(attention_s(4 * scores * size, scores, size, span, machine, stack, backward=True))


@pytest.mark.parametrize(("good", "bad"), [(112.0, 108.0), (144.0, 150.0)])
def test_scores_of_heads_that_tensor_cores_cannot_load_run_at_the_speed_of_32_bits(good, bad):
    # 19.5 of 312 TFLOP/s on A100; softmax and the rest take as long as before.
    assert 4 < scores_s(bad, "megatron-lm-2022") / scores_s(good, "megatron-lm-2022") < 16
    assert scores_s(bad, "torchtitan-2024") < 4 * scores_s(good, "torchtitan-2024")


def test_a_step_waits_for_the_slowest_of_many_accelerators():
    spread = np.asarray(0.015)
    alone, many = (
        slowest_of(layout_columns(tp=1), spread),
        slowest_of(layout_columns(dp=48), spread),
    )
    assert float(alone) == 1.0
    # 384 ranks: 3.45 standard deviations.
    assert float(many) == pytest.approx(1 + 0.015 * 3.45, abs=1e-4)


def block_of(software, layout, model="mixtral-8x7b"):
    machine, stack = machine_and_stack("H100-SXM5-80GB", "bf16", software)
    return blocks(model_columns(model), machine, stack, layout)


def test_kernels_that_the_host_awaits_leave_long_gaps():
    layout = layout_columns(tp=8)
    ahead = block_of("megatron-deepspeed", layout, "gpt3-175b")
    awaited = block_of("megatron-deepspeed-awaited", layout, "gpt3-175b")
    assert float(awaited.launch_f) > 10 * float(ahead.launch_f)
    assert float(awaited.gemm_f) == pytest.approx(float(ahead.gemm_f), rel=0.2)


def test_a_split_expert_does_not_send_what_another_rank_sends():
    split = block_of("megatron-core-2025", layout_columns(tp=4, expert_tp=4, dp=8, ep=8))
    whole = block_of("megatron-core-2025", layout_columns(tp=4, expert_tp=1, dp=8, ep=8))
    # The same bytes; experts that are split lie further apart, and gather in between.
    assert float(split.tp_f) > float(whole.tp_f)
    assert float(split.ep_f) > float(whole.ep_f)
    near = block_of("megatron-core-2025", layout_columns(tp=2, expert_tp=2, dp=4, ep=4))
    alike = block_of("megatron-core-2025", layout_columns(tp=2, expert_tp=1, dp=4, ep=4))
    assert float(near.ep_f) == pytest.approx(float(alike.ep_f))


def test_a_plain_dispatcher_sends_a_token_once_for_each_expert():
    far = layout_columns(tp=1, expert_tp=1, dp=64, ep=64)
    plain = block_of("megatron-core-2025-plain", far, "deepseek-v3")
    once = block_of("megatron-core-2025", far, "deepseek-v3")
    assert float(plain.ep_f) > 1.2 * float(once.ep_f)


@pytest.mark.parametrize(
    ("preset", "parameters", "tolerance"),
    [
        # Published totals; what the formula leaves out: norms, biases, positions.
        ("gpt3-175b", 174.6e9, 0.005),
        ("llama-2-7b", 6.74e9, 0.005),
        ("llama-3.1-405b", 405.85e9, 0.005),
        ("mixtral-8x7b", 46.7e9, 0.005),
        ("deepseek-v3", 671e9, 0.01),
        ("qwen3-235b-a22b", 235e9, 0.01),
    ],
)
def test_parameters_follow_from_the_shape(preset, parameters, tolerance):
    assert float(counts.parameters(model_columns(preset))) == pytest.approx(
        parameters, rel=tolerance
    )


def test_the_flops_of_a_token_are_six_a_parameter_and_attention():
    # PaLM, appendix B, the input embedding left out: it is looked up, not multiplied.
    flop = float(counts.model_flop_per_token(model_columns("llama-2-7b")))
    parameters = 6.74e9 - 32000 * 4096
    assert flop == pytest.approx(6 * parameters + 12 * 32 * 4096 * 4096, rel=0.005)


def needs(stage=1, dp=64, **layout):
    row = layout_row(tp=1, pp=1, dp=dp, zero_stage=stage, shard=dp, global_batch=dp, **layout)
    _, stack = machine_and_stack("H100", "bf16")
    return footprint(model_columns("llama-2-7b"), stack, layouts([row_of(row)]))


def row_of(row):
    from clusterwright.compute.rows import Run

    return Run(case=None, model={}, layout=row, filled=())


def test_mixed_precision_adam_keeps_sixteen_bytes_a_parameter():
    # Rajbhandari et al. 2020, section 3: 2 weights, 2 gradients, 12 optimiser.
    found = needs(stage=0, dp=1, grad_bytes=2.0)
    states = found.weights_bytes + found.gradients_bytes + found.optimiser_bytes
    assert float(states[0]) == pytest.approx(16 * 6.74e9, rel=0.01)


def test_each_zero_stage_needs_no_more_memory_than_the_one_before():
    totals = [float(needs(stage).total_bytes[0]) for stage in range(4)]
    assert totals == sorted(totals, reverse=True)


def test_full_recomputation_keeps_least_of_the_forward_pass():
    kept = [float(needs(recompute=n).activations_bytes[0]) for n in (0.0, 1.0, 2.0)]
    assert kept == sorted(kept, reverse=True)
    assert kept[2] < 0.5 * kept[0]
