"""Single models, machines and layouts for tests of the step model."""

import numpy as np
from tests.plan.conftest import the_catalog

from clusterwright.compute.columns import Layouts, Transformers
from clusterwright.compute.models import columns_of
from clusterwright.compute.stack import Case, apply, setting

PLAIN = {
    "tp": 8.0,
    "pp": 1.0,
    "dp": 1.0,
    "cp": 1.0,
    "ep": 1.0,
    "expert_tp": 8.0,
    "chunks": 1.0,
    "micro_batch": 1.0,
    "global_batch": 64.0,
    "zero_stage": 1.0,
    "shard": 1.0,
    "recompute": 0.0,
    "recomputed": 1.0,
    "sequence_parallel": 1.0,
    "zero_bubble": 0.0,
    "gpipe": 0.0,
    "cp_gather": 0.0,
    "offload": 0.0,
    "grad_bytes": 4.0,
}


def model_columns(preset, seq_len=None):
    """Return a preset as single values."""
    row = columns_of(the_catalog().preset(preset), seq_len)
    return Transformers(**{name: np.asarray(value) for name, value in row.items()})


def layout_row(**changes):
    """Return a layout as one row."""
    return {**PLAIN, **{name: float(value) for name, value in changes.items()}}


def layout_columns(**changes):
    """Return a layout as single values, or columns where a list is given."""
    return Layouts(
        **{name: np.asarray(value, dtype=float) for name, value in {**PLAIN, **changes}.items()}
    )


def machine_and_stack(part, precision, software="megatron-core-2025"):
    """Return an accelerator with software as single values, with the shipped factors."""
    parts = the_catalog()
    case = Case(
        accelerator=parts.accelerator(part), software=parts.software[software], precision=precision
    )
    values = np.asarray([one.value for one in parts.step_factors.values()])
    machine, stack = apply(setting([case], parts.step_factors), values)
    return machine.only(), stack.only()
