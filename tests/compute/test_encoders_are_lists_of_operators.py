"""Encoders: published totals, operators by hand, what moves a step, and the world's throughput."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.compute.runs import machine_and_stack
from tests.plan.conftest import the_catalog

from clusterwright.compute import encoders, operators
from clusterwright.errors import InvalidInput
from clusterwright.model.encoder import EncoderOperator
from clusterwright.model.parts import Provenance

HERE = Provenance(source="test", certainty="estimate")


def listed(name):
    return operators.operators(the_catalog().operators_of(name))


def one(kind, **shape):
    row = EncoderOperator(name="x", encoder="x", kind=kind, provenance=HERE, **shape)
    return operators.operators([row])


def step(name, *, batch=64, gpus=8, machine=None, stack=None, width=4.0):
    default = machine_and_stack("A100-80GB", "bf16", "pytorch-ddp-2024")
    machine, stack = machine or default[0], stack or default[1]
    cost = operators.costs(listed(name), machine, stack, np.asarray(float(batch)))
    ranks = np.asarray(float(gpus))
    samples = np.asarray(float(batch))
    return operators.training_step(
        listed(name), cost, machine, stack, samples, ranks, np.asarray(width)
    )


# --- what is published ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "macs", "parameters", "tolerance"),
    [
        # Papers say FLOPs and mean multiplications; totals are rounded to two or three digits.
        # He et al. 2016, table 1, says 3.8 for the stride in the first convolution of a stage; the
        # v1.5 form that is trained since has 4.1, as torchvision states.
        ("resnet-50", 4.1e9, 25.6e6, 0.005),
        ("resnet-101", 7.8e9, 44.5e6, 0.005),
        # Dosovitskiy et al. 2021, table 1 (parameters); MACs as torchvision and Touvron et al. 2021
        # (DeiT, 17.6 for the B form) state them.
        ("vit-b-16", 17.6e9, 86.6e6, 0.005),
        ("vit-l-16", 61.6e9, 304.3e6, 0.005),
        # Liu et al. 2021, table 1; the table of relative positions is left out.
        ("swin-t", 4.5e9, 28.3e6, 0.005),
    ],
)
def test_totals_are_the_published_ones(encoder, macs, parameters, tolerance):
    found = listed(encoder)
    assert float(operators.macs_per_sample(found)) == pytest.approx(macs, rel=tolerance)
    assert float(operators.parameters(found)) == pytest.approx(parameters, rel=tolerance)


MEASURED = [
    # NVIDIA DeepLearningExamples, training results: PyTorch/Classification/ConvNets/resnet50v1.5
    # (container 21.03; the batch is not stated: the program's default of 256 is assumed) and
    # MxNet/Classification/RN50v1.5 (20.12). Images/s.
    ("A100-80GB", "amp", "pytorch-ddp-2021", 1, 256, 2470),
    ("A100-80GB", "amp", "pytorch-ddp-2021", 8, 256, 16621),
    ("V100", "amp", "pytorch-ddp-2021", 1, 256, 1156),
    ("V100", "amp", "pytorch-ddp-2021", 8, 256, 8056),
    ("V100", "amp", "mxnet-2020", 1, 256, 1492),
    ("V100", "amp", "mxnet-2020", 16, 256, 21484),
]
MISSES = [
    # Products in TF32 take the reach of 16-bit ones; 25 and 29 % too fast with today's factors.
    ("A100-80GB", "tf32", "pytorch-ddp-2021", 1, 256, 938),
    ("A100-80GB", "tf32", "pytorch-ddp-2021", 8, 256, 7248),
    # Fused norms are taken at the traffic of hand-fused language models, which is too little here.
    ("A100-80GB", "amp", "mxnet-2020", 1, 256, 2180),
    ("A100-80GB", "amp", "mxnet-2020", 8, 256, 16925),
    ("A100-80GB", "tf32", "mxnet-2020", 1, 256, 1022),
    # Without tensor cores: no factor was ever calibrated on 32-bit products of that part.
    ("V100", "fp32", "mxnet-2020", 1, 128, 417),
]
TOLERANCE = 0.22  # nothing was fitted to an encoder; errors of MEASURED are -9 to +20 %


def predicted(gpu, precision, software, gpus, batch):
    row = {
        "encoder": "resnet-50",
        "gpu": gpu,
        "precision": precision,
        "software": software,
        "gpus": str(gpus),
        "batch": str(batch),
    }
    (answer,), _ = encoders.estimate_rows([row], the_catalog(), file="rows.csv")
    return answer


@pytest.mark.parametrize(("gpu", "precision", "software", "gpus", "batch", "images"), MEASURED)
def test_resnet_trains_as_fast_as_published(gpu, precision, software, gpus, batch, images):
    found = predicted(gpu, precision, software, gpus, batch)["predicted_samples_per_s"]
    assert found == pytest.approx(images, rel=TOLERANCE)


@pytest.mark.xfail(
    reason="known misses: 34 % too slow to 69 % too fast; why is said above", strict=True
)
@pytest.mark.parametrize(("gpu", "precision", "software", "gpus", "batch", "images"), MISSES)
def test_resnet_where_the_model_is_wrong(gpu, precision, software, gpus, batch, images):
    found = predicted(gpu, precision, software, gpus, batch)["predicted_samples_per_s"]
    assert found == pytest.approx(images, rel=TOLERANCE)


def test_resnet_fits_where_it_was_trained():
    # The same source trained on GPUs of 16 GB too, by its default with 256 images.
    assert (
        predicted("V100", "amp", "pytorch-ddp-2021", 1, 256)["predicted_peak_memory_bytes"] < 16e9
    )


# --- operators by hand ----------------------------------------------------------------------------


def test_a_convolution_is_a_product_of_its_grid_channels_and_kernel():
    found = one("conv2d", in_channels=64, out_channels=128, kernel=3, height=28, width=28)
    assert float(found.macs[0]) == 28 * 28 * 128 * 64 * 9
    assert float(found.weights[0]) == 128 * 64 * 9


def test_groups_divide_work_and_weights():
    shape = {"in_channels": 64, "out_channels": 128, "kernel": 3, "height": 28, "width": 28}
    whole, grouped = one("conv2d", **shape), one("conv2d", groups=32, **shape)
    assert float(grouped.macs[0]) == float(whole.macs[0]) / 32
    assert float(grouped.weights[0]) == float(whole.weights[0]) / 32


def test_a_patch_embedding_reads_the_image_once():
    found = one(
        "conv2d", in_channels=3, out_channels=768, kernel=16, stride=16, height=14, width=14
    )
    assert float(found.read[0]) == 3 * 224 * 224


def test_a_sparse_convolution_works_for_its_active_neighbours_only():
    found = one("sparse_conv", in_channels=16, out_channels=32, kernel=3, tokens=1000, neighbours=5)
    assert float(found.macs[0]) == 1000 * 5 * 16 * 32
    assert float(found.weights[0]) == 27 * 16 * 32


def test_attention_counts_scores_and_values():
    found = one("attention", in_channels=768, out_channels=768, tokens=197, heads=12)
    assert float(found.macs[0]) == 2 * 197 * 197 * 768
    assert float(found.weights[0]) == 0


def test_pooling_points_reads_each_and_writes_the_grid():
    found = one("gather", in_channels=80, out_channels=80, tokens=2_000_000, height=360, width=360)
    assert float(found.read[0]) == 80 * 2_000_000
    assert float(found.written[0]) == 80 * 360 * 360


def test_a_large_convolution_is_bound_by_arithmetic_and_a_norm_by_memory():
    machine, stack = machine_and_stack("A100-80GB", "bf16", "pytorch-ddp-2024")
    shape = {"out_channels": 512, "height": 28, "width": 28}
    for kind, bound in (("conv2d", 1.0), ("norm", 0.0)):
        found = one(kind, in_channels=512, kernel=3 if kind == "conv2d" else 1, **shape)
        cost = operators.costs(found, machine, stack, np.asarray(64.0))
        assert float(cost.compute_bound[0]) == bound


def test_no_product_runs_above_the_peak():
    machine, stack = machine_and_stack("H100", "bf16", "pytorch-ddp-2024")
    for name in the_catalog().encoders:
        found = listed(name)
        cost = operators.costs(found, machine, stack, np.asarray(32.0))
        products = 2.0 * 32.0 * found.macs
        assert np.all(products <= cost.forward_s * float(machine.gemm_flop_per_s)), name
        assert np.all(2.0 * products <= cost.backward_s * float(machine.gemm_flop_per_s) * 1.001)


# --- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(the_catalog().encoders))
def test_parts_of_a_step_sum_to_its_time(name):
    found = step(name)
    assert float(found.forward_s + found.backward_s) <= float(found.step_s)
    worked = found.compute_s + found.memory_s + found.launch_s
    assert float(found.step_s) == pytest.approx(
        float(worked + found.reduction_s + found.update_s), rel=1e-12
    )


@pytest.mark.parametrize(
    "field",
    ["gemm_flop_per_s", "memory_bytes_per_s", "scaleup_bytes_per_s", "scaleout_bytes_per_s"],
)
@pytest.mark.parametrize("name", ["resnet-50", "vit-l-16", "bevfusion"])
def test_a_better_machine_never_takes_longer(name, field):
    machine, _ = machine_and_stack("A100-80GB", "bf16", "pytorch-ddp-2024")
    better = replace(machine, **{field: getattr(machine, field) * 1.5})
    before, after = step(name, gpus=64), step(name, gpus=64, machine=better)
    assert float(after.step_s) <= float(before.step_s) * (1 + 1e-9)


@given(batch=st.integers(1, 256))
def test_a_larger_batch_never_takes_less_time(batch):
    less, more = step("swin-t", batch=batch), step("swin-t", batch=2 * batch)
    assert float(more.step_s) >= float(less.step_s) * (1 - 1e-9)
    assert float(more.activations_bytes) == pytest.approx(2 * float(less.activations_bytes))


def test_more_accelerators_cost_a_reduction_and_one_costs_none():
    alone, many = step("vit-l-16", gpus=1), step("vit-l-16", gpus=512)
    assert float(alone.reduction_s + alone.hidden_s) == 0
    assert float(many.reduction_s) > 0
    assert float(many.step_s) > float(alone.step_s)


def test_many_batches_are_answered_at_once():
    machine, stack = machine_and_stack("A100-80GB", "bf16", "pytorch-ddp-2024")
    batches = np.asarray([[8.0], [64.0], [256.0]])
    found = listed("resnet-50")
    cost = operators.costs(found, machine, stack, batches)
    together = operators.training_step(
        found, cost, machine, stack, batches, np.asarray(8.0), np.asarray(4.0)
    )
    assert together.step_s.shape == (3, 1)
    for place, batch in enumerate((8, 64, 256)):
        alone = step("resnet-50", batch=batch)
        for name in (one.name for one in fields(together)):
            each = np.broadcast_to(getattr(together, name), (3, 1))[place, 0]
            assert float(each) == pytest.approx(float(getattr(alone, name))), name


def test_small_batches_wait_for_the_host():
    one_image, many = step("resnet-50", batch=1), step("resnet-50", batch=256)
    assert float(one_image.launch_s / one_image.step_s) > 0.5
    assert float(many.launch_s / many.step_s) < 0.2


# --- rows -----------------------------------------------------------------------------------------


def test_every_operator_of_a_row_is_told():
    row = {"encoder": "BEVFusion", "gpu": "H100", "gpus": "64", "batch": "4", "note": "mine"}
    (answer,), (each,) = encoders.estimate_rows([row], the_catalog(), file="rows.csv")
    assert answer["note"] == "mine"
    assert "software pytorch-ddp-2024 (default)" in answer["reason"]
    assert len(each) == len(the_catalog().operators_of("bevfusion"))
    assert sum(one["macs_per_sample"] for one in each) == pytest.approx(
        answer["predicted_macs_per_sample"]
    )
    assert {"sparse_conv", "gather", "attention"} <= {one["kind"] for one in each}


def test_all_faults_of_all_rows_are_told_at_once_with_near_names():
    rows = [
        {"encoder": "resnet50", "gpu": "H100-SXM", "gpus": "x", "batch": "0", "precision": "fp7"},
        {"encoder": "vit-b-16", "gpu": "V100", "gpus": "8", "batch": "", "precision": "fp8"},
    ]
    with pytest.raises(InvalidInput) as caught:
        encoders.estimate_rows(rows, the_catalog(), file="rows.csv")
    places = [(one.line, one.path) for one in caught.value.faults]
    assert places == [
        (2, "encoder"),
        (2, "gpus"),
        (2, "batch"),
        (2, "precision"),
        (3, "batch"),
        (3, "precision"),
    ]
    assert "resnet-50" in str(caught.value)


def test_a_missing_column_offers_the_one_that_was_meant():
    with pytest.raises(InvalidInput, match="Did you mean 'encoders'"):
        encoders.estimate_rows(
            [{"encoders": "vit-b-16", "gpu": "H100", "gpus": "8", "batch": "8"}],
            the_catalog(),
            file="rows.csv",
        )


# --- a user's own encoder -------------------------------------------------------------------------


def test_an_encoder_of_an_overlay_is_estimated(tmp_path):
    from clusterwright import catalog

    own(tmp_path, "tiny")
    parts = catalog.load(tmp_path)
    row = {"encoder": "tiny", "gpu": "H100", "gpus": "1", "batch": "8"}
    (answer,), _ = encoders.estimate_rows([row], parts, file="rows.csv")
    assert answer["predicted_macs_per_sample"] == 32 * 32 * 16 * 3 * 9


def test_an_operator_of_no_encoder_is_refused_with_the_near_name(tmp_path):
    from clusterwright import catalog

    own(tmp_path, "tinny")
    with pytest.raises(InvalidInput) as caught:
        catalog.load(tmp_path)
    assert "Did you mean tiny" in str(caught.value)
    assert "has no operators" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        ("conv2d", {"out_channels": 8}, "needs in_channels"),
        ("linear", {"in_channels": 8, "out_channels": 8}, "needs tokens"),
        ("conv2d", {"in_channels": 8, "out_channels": 9, "groups": 8}, "do not divide"),
        ("conv2d", {"in_channels": 8, "out_channels": 8, "tokens": 4}, "runs on a grid"),
        ("attention", {"out_channels": 10, "tokens": 4, "heads": 3}, "do not divide"),
        ("norm", {"out_channels": 8, "repeats": 0}, "must be positive"),
    ],
)
def test_shapes_that_no_operator_has_are_refused(kind, shape, said):
    with pytest.raises(ValueError, match=said):
        one(kind, **shape)


def own(folder, name):
    (folder / "sources.csv").write_text(
        "name,title,publisher,where,read_on,condition\nmine,Mine,me,,2026-11,\n"
    )
    (folder / "encoders.csv").write_text(
        "name,title,family,sample,source,certainty,uncertain\n"
        "tiny,Tiny,convolutional,image,mine,estimate,\n"
    )
    (folder / "encoder_operators.csv").write_text(
        "name,encoder,kind,in_channels,out_channels,kernel,height,width,source,certainty,uncertain\n"
        f"{name} conv,{name},conv2d,3,16,3,32,32,mine,estimate,\n"
    )
