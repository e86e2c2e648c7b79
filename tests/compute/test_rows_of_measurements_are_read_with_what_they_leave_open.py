"""Rows of measurements: what is filled and said, what gets no prediction, what is refused."""

import csv
import io

import pytest
from tests.plan.conftest import the_catalog

from clusterwright.compute import predict, rows, told
from clusterwright.errors import InvalidInput

FULL = {
    "id": "a",
    "model": "GPT-3-175B",
    "layers": "96",
    "hidden": "12288",
    "heads": "96",
    "kv_heads": "96",
    "ffn_hidden": "49152",
    "gated_mlp": "False",
    "vocab": "51200",
    "seq_len": "2048",
    "gpu": "A100-80GB",
    "gpus": "64",
    "tp": "8",
    "pp": "8",
    "dp": "1",
    "cp": "1",
    "interleave": "3",
    "micro_batch": "1",
    "global_batch": "64",
    "precision": "fp16",
    "recompute": "full",
    "sequence_parallel": "False",
    "zero_stage": "0",
    "software": "megatron-lm-2022",
}


def answer(**changes):
    row = {**FULL, **changes}
    return predict.estimate_rows([row], the_catalog(), file="runs.csv")[0]


def test_a_full_row_is_predicted_and_nothing_is_filled():
    found = answer()
    assert found["predicted_step_time_s"] == pytest.approx(18.13, rel=0.1)  # Korthikanti, table 5
    assert found["reason"] == "software megatron-lm-2022"
    assert found["fits"] is True


def test_rate_time_and_mfu_are_one_number():
    found = answer()
    tokens = 64 * 2048 / (found["predicted_step_time_s"] * 64)
    assert found["predicted_tokens_per_s_per_gpu"] == pytest.approx(tokens, rel=1e-4)
    share = found["predicted_tflops_per_gpu"] / 312
    assert found["predicted_mfu_fraction"] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("precision", "precision fp16 (default of megatron-lm-2022)"),
        ("recompute", "recompute none (default of megatron-lm-2022)"),
        ("micro_batch", "micro_batch 1 (default of megatron-lm-2022)"),
        ("interleave", "interleave 1 (default of megatron-lm-2022)"),
        ("vocab", "vocab 50257 (padded GPT-2 table)"),
    ],
)
def test_what_a_row_leaves_open_is_filled_and_said(column, said):
    found = answer(**{column: ""})
    assert said in found["reason"]
    assert found["predicted_step_time_s"] > 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gpu": ""}, "gpu is empty"),
        ({"gpu": "A1000"}, "accelerator 'A1000' is not known"),
        ({"tp": "", "pp": ""}, "tp and pp are empty"),
        ({"global_batch": ""}, "global_batch is empty"),
        ({"model": "unheard-of", "hidden": ""}, "hidden is empty"),
        ({"model": "unheard-of", "layers": ""}, "layers is empty"),
        ({"dp": "", "gpus": ""}, "copies of the model"),
        ({"software": "megatron-3000"}, "did you mean megatron-lm-2020"),
        ({"precision": "fp8"}, "number format of A100-SXM4-80GB"),
    ],
)
def test_a_row_that_nothing_can_fill_gets_a_reason_and_no_number(changes, why):
    found = answer(**changes)
    assert found["predicted_step_time_s"] == ""
    assert why in found["reason"]


def test_every_cell_that_is_no_number_is_told_at_once():
    text = "model,gpu,tp,pp,global_batch\ngpt3-175b,H100,eight,8,-1\ngpt3-175b,H100,8,nan,8\n"
    given = list(csv.DictReader(io.StringIO(text)))
    with pytest.raises(InvalidInput) as caught:
        rows.read_numbers(given, file="runs.csv")
    assert [(one.line, one.path) for one in caught.value.faults] == [
        (2, "tp"),
        (2, "global_batch"),
        (3, "pp"),
    ]


def test_columns_nobody_knows_pass_through():
    assert answer(colour="blue")["colour"] == "blue"


def test_layers_follow_from_the_parameters_in_the_name():
    found = answer(model="trial-181B", layers="", hidden="14336", heads="64", vocab="250880")
    assert "layers 72 (from the parameters in the name)" in found["reason"]


@pytest.mark.parametrize(
    ("words", "software"),
    [
        ({"notes": "Megatron-DeepSpeed; 1F1B"}, "megatron-deepspeed"),
        ({"source": "Megatron-Bridge docs release 26.08"}, "megatron-bridge-26.08"),
        ({"source": "MLCommons MLPerf training v4.0"}, "nemo-mlperf"),
        ({"source": "bigscience", "notes": "on 02-21"}, "megatron-deepspeed-awaited"),
        ({"source": "bigscience", "notes": "on 02-28"}, "megatron-deepspeed-bf16"),
        ({"notes": "FSDP"}, "llm-foundry-2023"),
        ({}, "megatron-lm-2022"),
    ],
)
def test_software_is_told_by_the_words_of_a_row(words, software):
    parts = the_catalog()
    a100 = parts.accelerator("A100-80GB")
    assert told.software_of(words, a100, parts).name == software


def test_the_network_of_a_known_machine_is_taken_where_none_is_stated():
    known = answer(source="bigscience chronicles", software="", inter_node_bw_GBps_per_gpu="")
    assert "inter_node_bw of Jean Zay" in known["reason"]
    stated = answer(source="bigscience chronicles", inter_node_bw_GBps_per_gpu="25")
    assert "Jean Zay" not in stated["reason"]


def test_a_machine_that_its_owner_calls_slower_is_taken_as_slower():
    late = answer(source="bigscience", notes="taken on 02-26", software="")
    early = answer(source="bigscience", notes="taken on 02-21", software="")
    assert "times 1.03" in early["reason"]
    assert "times 1.03" not in late["reason"]
    # Kernels are slower, messages and the gaps that the host leaves are not.
    assert early["predicted_step_time_s"] > 1.01 * late["predicted_step_time_s"]


def test_counts_beyond_what_was_checked_widen_the_error_bar():
    near = answer(gpus="512", dp="8", global_batch="512")
    far = answer(gpus="65536", dp="1024", global_batch="65536")
    assert far["error_bar_fraction"] > near["error_bar_fraction"]
    assert "counts and sizes" in far["reason"]
    assert "counts and sizes" not in near["reason"]


def test_an_answer_outside_what_was_checked_says_so():
    found = answer(gpu="MI300X", precision="bf16", software="megatron-core-2025")
    assert "outside what was checked" in found["reason"]
    assert found["error_bar_fraction"] > 0


def test_measured_rows_are_compared_and_others_are_not():
    given = [
        {**FULL, "measured_step_time_s": "18.13", "family": "one"},
        {**FULL, "measured_step_time_s": ""},
        {**FULL, "tp": "", "pp": "", "measured_step_time_s": "3"},
    ]
    found = predict.estimate_rows(given, the_catalog(), file="runs.csv")
    families, ratios = predict.compared(given, found)
    assert families == ["one"]
    assert ratios[0] == pytest.approx(found[0]["predicted_step_time_s"] / 18.13)
    assert predict.compared(given[1:2], found[1:2]) is None
