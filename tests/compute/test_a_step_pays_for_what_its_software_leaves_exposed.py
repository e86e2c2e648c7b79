"""What a step pays beside its products, by what the documents of its software say."""

from dataclasses import replace

import numpy as np
import pytest
from tests.compute.runs import layout_columns, machine_and_stack, model_columns

from clusterwright.compute import counts
from clusterwright.compute.blocks import blocks
from clusterwright.compute.steptime import steps


def taken(software, model="gpt3-175b", **layout):
    """Return step, block, stack and machine of a layout on H100."""
    machine, stack = machine_and_stack("H100-SXM5-80GB", "bf16", software)
    columns = layout_columns(**layout)
    shape = model_columns(model) if isinstance(model, str) else model
    block = blocks(shape, machine, stack, columns)
    return steps(shape, machine, stack, columns, block), block, stack, machine


@pytest.mark.parametrize(
    ("software", "chunks"), [("megatron-lm-2022", 2), ("megatron-core-2025", 1)]
)
def test_schedules_that_do_not_overlap_wait_for_each_message_and_for_those_that_fill(
    software, chunks
):
    few, many = (taken(software, pp=4, chunks=chunks, global_batch=batch)[0] for batch in (8, 24))
    assert float(many.pp_s / few.pp_s) == pytest.approx((chunks * 24 + 3) / (chunks * 8 + 3))


def test_interleaved_chunks_hide_messages_where_software_overlaps_them():
    plain, hidden = (
        taken("megatron-core-2025", pp=4, chunks=chunks, global_batch=64)[0] for chunks in (1, 4)
    )
    assert float(plain.pp_s) < float(hidden.pp_s) < 4 * float(plain.pp_s)
    assert float(hidden.hidden_s) > float(plain.hidden_s)


def test_receivers_gather_the_shares_of_a_message_unless_the_sequence_lies_in_them():
    gathered, spread = (
        taken("megatron-lm-2022", pp=4, sequence_parallel=parallel)[0] for parallel in (0, 1)
    )
    assert float(gathered.pp_s) > 1.1 * float(spread.pp_s)


def messages_s(precision, parallel):
    machine, stack = machine_and_stack("H100-SXM5-80GB", precision, "nemo-2025")
    machine = replace(machine, scaleup_latency_s=np.asarray(0.0))
    columns = layout_columns(sequence_parallel=parallel)
    return float(blocks(model_columns("gpt3-175b"), machine, stack, columns).tp_f)


def test_what_a_narrow_product_reads_is_gathered_in_its_own_format():
    # 16 bits scattered and 8 gathered instead of 16 each way.
    assert messages_s("fp8", 1) == pytest.approx(0.75 * messages_s("bf16", 1))
    assert messages_s("fp8", 0) == pytest.approx(messages_s("bf16", 0))


def test_choosing_products_one_by_one_does_all_cheaper_work_again():
    step, block, stack, _ = taken("torchtitan-2024", recompute=1)
    again = stack.selective * block.gemm_f + block.stream_f
    assert float(step.recompute_s) == pytest.approx(float(again * 96 * 64))


def test_stages_that_share_a_table_sum_its_gradients():
    model = model_columns("gpt3-175b")
    apart = replace(model, tied=np.asarray(0.0))
    one, two = (float(taken("megatron-core-2025", each, pp=4)[0].dp_s) for each in (model, apart))
    assert one > two
    alone = [float(taken("megatron-core-2025", each)[0].dp_s) for each in (model, apart)]
    assert alone[0] == alone[1]


def test_sharded_parameters_are_laid_out_anew_for_each_message():
    layout = {"tp": 1, "expert_tp": 1, "dp": 8, "shard": 8, "zero_stage": 3, "grad_bytes": 2}
    step, _, stack, machine = taken("llm-foundry-2023", "llama-2-7b", **layout)
    free = replace(stack, copied_bytes=np.asarray(0.0))
    model, columns = model_columns("llama-2-7b"), layout_columns(**layout)
    without = steps(model, machine, free, columns, blocks(model, machine, free, columns))
    copied = 8.0 * 8.0 * float(counts.parameters(model)) / float(machine.memory_bytes_per_s)
    assert float(step.dp_s - without.dp_s) == pytest.approx(copied)
    assert float(step.hidden_s) == pytest.approx(float(without.hidden_s))
