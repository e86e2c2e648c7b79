"""Rows of published or own measurements as cases of the step model.

A row names a model, a machine, a layout and a software; what it leaves open is filled from the
catalogue's preset of that model and from the software's defaults, and every such filling is said.
A row that lacks what nothing can fill gets no prediction but a reason.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clusterwright.catalog import Catalog
from clusterwright.compute import counts
from clusterwright.compute.columns import Array, Layouts, Transformers
from clusterwright.compute.models import columns_of, tied
from clusterwright.compute.stack import MANY_EXPERTS, Case, peak_flop_per_s, released
from clusterwright.compute.told import accelerator_of, software_of, system_of
from clusterwright.errors import Fault, InvalidInput, UnknownName
from clusterwright.model.market import Preset, Software
from clusterwright.model.parts import Accelerator
from clusterwright.units import BytesPerSecond, Count, parse

NUMBERS = (
    *("layers", "hidden", "heads", "kv_heads", "ffn_hidden", "vocab", "seq_len", "gpus"),
    *("gpus_per_node", "intra_node_bw_GBps", "inter_node_bw_GBps_per_gpu", "tp", "pp", "dp", "cp"),
    *("ep", "experts", "topk", "interleave", "micro_batch", "global_batch", "zero_stage"),
    *("measured_step_time_s", "derived_step_time_s", "measured_tokens_per_s_per_gpu"),
    *("measured_tflops_per_gpu", "measured_mfu_pct", "measured_peak_mem_GiB"),
)
_PRECISIONS = {"amp_fp8": "fp8", "half": "fp16", "bfloat16": "bf16", "float16": "fp16"}
_RECOMPUTE = {"none": 0.0, "selective": 1.0, "full": 2.0}
_GIGA = "GB/s"
_VOCAB = 51200.0  # GPT-2's table padded for tensor parallelism, as the Megatron line uses it
_LEAST_LAYERS_A_CHUNK = 2.0
_OLD = 2024.0


@dataclass(frozen=True, slots=True)
class Run:
    """One row, filled."""

    case: Case
    model: Mapping[str, float]
    layout: Mapping[str, float]
    filled: tuple[str, ...]
    """What the row left open, and what was taken."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A row that cannot be predicted."""

    reason: str


@dataclass(slots=True)
class _Row:
    """A row as numbers, with notes on what was filled."""

    text: Mapping[str, str]
    numbers: Mapping[str, float]
    filled: list[str] = field(default_factory=list)

    def get(self, name: str, other: float, why: str = "") -> float:
        if name in self.numbers:
            return self.numbers[name]
        if why:
            self.filled.append(f"{name} {other:g} ({why})")
        return other


def read_numbers(rows: Sequence[Mapping[str, str]], *, file: str) -> list[dict[str, float]]:
    """Return the numbers of rows.

    Raises
    ------
    InvalidInput
        With every cell that is no number, or below zero.
    """
    faults: list[Fault] = []
    found: list[dict[str, float]] = []
    for line, row in enumerate(rows, start=2):
        numbers: dict[str, float] = {}
        for column, (name, cell) in enumerate(row.items(), start=1):
            if name not in NUMBERS or not cell.strip():
                continue
            try:
                value = float(cell)
            except ValueError:
                value = -1.0
            if not (0 <= value < float("inf")):
                faults.append(
                    Fault(
                        file=file,
                        line=line,
                        column=column,
                        path=name,
                        message=f"{cell!r} is no number of zero or more",
                        remedy="write a number, or leave the cell empty",
                    )
                )
                continue
            numbers[name] = value
        found.append(numbers)
    if faults:
        raise InvalidInput(faults)
    return found


def read_run(
    row: Mapping[str, str], numbers: Mapping[str, float], catalog: Catalog
) -> Run | Unread:
    """Return a row as a case, or why it cannot be one."""
    taken = _Row(row, numbers)
    try:
        accelerator = _accelerator(taken, catalog)
        preset = _preset(row.get("model", ""), catalog)
        software = software_of(row, accelerator, catalog)
        case = _case(taken, accelerator, software, preset, catalog)
        peak_flop_per_s(accelerator, case.precision)
    except UnknownName as error:
        return Unread(str(error))
    model = _model(taken, preset, software)
    if isinstance(model, Unread):
        return model
    layout = _layout(taken, software, model)
    if isinstance(layout, Unread):
        return layout
    return Run(case, model, layout, tuple(taken.filled))


def transformers(runs: Sequence[Run]) -> Transformers:
    """Return the models of runs as columns."""
    return Transformers(**_columns([run.model for run in runs]))


def layouts(runs: Sequence[Run]) -> Layouts:
    """Return the layouts of runs as columns."""
    return Layouts(**_columns([run.layout for run in runs]))


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {name: np.asarray([row[name] for row in rows], dtype=float) for name in rows[0]}


def _accelerator(row: _Row, catalog: Catalog) -> Accelerator:
    name = row.text.get("gpu", "").strip()
    if not name:
        raise UnknownName("gpu is empty; name an accelerator of the catalogue")
    return accelerator_of(name, catalog, row.filled)


def _preset(name: str, catalog: Catalog) -> Preset | None:
    try:
        return catalog.preset(name.strip())
    except UnknownName:
        return None


def _case(
    row: _Row,
    accelerator: Accelerator,
    software: Software,
    preset: Preset | None,
    catalog: Catalog,
) -> Case:
    precision = row.text.get("precision", "").strip().casefold()
    precision = _PRECISIONS.get(precision, precision)
    if not precision:
        precision = "fp16" if released(software) < _OLD else "bf16"
        row.filled.append(f"precision {precision} (default of {software.name})")
    experts = row.numbers.get("experts", float(preset.experts) if preset else 0.0)
    scaleup = _stated_link(row, "intra_node_bw_GBps")
    if (
        scaleup is not None
        and accelerator.scaleup_bytes_per_s is not None
        and (scaleup < accelerator.scaleup_bytes_per_s)
    ):
        # Some sources state what a simulator was given, which is less than the links of the part.
        row.filled.append(f"intra_node_bw of {accelerator.name} (the stated one is below it)")
        scaleup = None
    scaleout = _stated_link(row, "inter_node_bw_GBps_per_gpu")
    system = system_of(row.text, catalog)
    if scaleout is None and system is not None:
        scaleout = system.nic_bytes_per_s
        row.filled.append(f"inter_node_bw of {system.title}")
    slowdown = 1.0
    if system is not None and system.slowdown_ratio != 1.0:
        slowdown = system.slowdown_ratio
        row.filled.append(f"times {slowdown:g} ({system.title})")
    return Case(
        accelerator=accelerator,
        software=software,
        precision=precision,
        num_experts=int(experts),
        scaleup_bytes_per_s=scaleup,
        scaleout_bytes_per_s=scaleout,
        slowdown_ratio=slowdown,
    )


def _stated_link(row: _Row, name: str) -> float | None:
    value = row.numbers.get(name)
    return parse(f"{value} {_GIGA}", BytesPerSecond) if value else None


def _model(row: _Row, preset: Preset | None, software: Software) -> dict[str, float] | Unread:
    known = columns_of(preset) if preset is not None else {}
    hidden = row.get("hidden", known.get("hidden", 0.0), "preset" if known else "")
    if not hidden:
        return Unread("hidden is empty, and no preset has this model's name")
    heads = row.get("heads", known.get("heads", max(1.0, round(hidden / 128))), "128 wide heads")
    vocab = row.get("vocab", known.get("vocab", _VOCAB), "padded GPT-2 table")
    layers = row.get("layers", known.get("layers", 0.0))
    if not layers:
        layers = _layers_of_name(row, hidden, vocab)
        if not layers:
            return Unread("layers is empty, and the model's name does not tell its parameters")
    same_head = known and known["hidden"] == hidden and known["heads"] == heads
    head_size = known["head_size"] if same_head else hidden / heads
    experts = row.get("experts", known.get("experts", 0.0))
    gated_cell = row.text.get("gated_mlp", "").strip().casefold()
    gated = known.get("gated", 0.0)
    if gated_cell:
        gated = float(gated_cell in ("true", "1", "yes"))
    ffn = row.get("ffn_hidden", known.get("ffn", 4.0 * hidden), "4 times hidden")
    mixture = experts > 1
    return {
        **dict.fromkeys(_BLANK, 0.0),
        **({name: known[name] for name in _LATENT} if known and same_head else {}),
        "layers": layers,
        "hidden": hidden,
        "tied": tied(gated=gated > 0),
        "heads": heads,
        "kv_heads": row.get("kv_heads", known.get("kv_heads", heads)),
        "head_size": head_size,
        "ffn": known.get("ffn", ffn) if mixture else ffn,
        "gated": gated,
        "vocab": vocab,
        "seq_len": row.get(
            "seq_len", float(software.sequence_length), f"default of {software.name}"
        ),
        "causal": 1.0,
        "imbalance": 1.0,
        "experts": experts if mixture else 0.0,
        "topk": row.get("topk", known.get("topk", 2.0)) if mixture else 0.0,
        "expert_ffn": ffn if mixture else 0.0,
        "shared_ffn": known.get("shared_ffn", 0.0) if mixture else 0.0,
        "dense_layers": min(known.get("dense_layers", 0.0), layers) if mixture else 0.0,
    }


_LATENT = (
    *("window", "windowed", "q_rank", "kv_rank", "rope_size", "value_size", "predicted"),
    "activation_bytes",
)
_BLANK = _LATENT


def _layers_of_name(row: _Row, hidden: float, vocab: float) -> float:
    """Return blocks from the parameters that a model's name tells, whole for the stages."""
    told = re.search(r"([\d.]+)\s*B\b", row.text.get("model", ""), re.IGNORECASE)
    if told is None:
        return 0.0
    stages = max(row.numbers.get("pp", 1.0), 1.0)
    parameters = parse(f"{told.group(1)} B", Count)
    layers = (parameters - vocab * hidden) / (12.0 * hidden**2)
    whole = max(1.0, round(layers / stages)) * stages
    row.filled.append(f"layers {whole:g} (from the parameters in the name)")
    return whole


def _layout(row: _Row, software: Software, model: Mapping[str, float]) -> dict[str, float] | Unread:
    numbers = row.numbers
    if software.family == "fsdp":
        tp, pp = row.get("tp", 1.0, "sharded"), row.get("pp", 1.0, "sharded")
        numbers = {**numbers, "tp": tp, "pp": pp}
    missing = [name for name in ("tp", "pp") if name not in numbers]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return Unread(f"{' and '.join(missing)} {verb} empty: the layout is not stated")
    tp, pp, cp = numbers["tp"], numbers["pp"], numbers.get("cp", 1.0) or 1.0
    if min(tp, pp, cp) < 1:
        return Unread("tp, pp and cp must be at least 1")
    dp = numbers.get("dp") or (numbers.get("gpus", 0.0) / (tp * pp * cp))
    if dp < 1:
        return Unread("neither dp nor gpus says how many copies of the model there are")
    if not numbers.get("global_batch"):
        return Unread("global_batch is empty: the step's work is not stated")
    experts = model["experts"]
    ep = max(numbers.get("ep", 1.0), 1.0) if experts else 1.0
    micro = row.get("micro_batch", 0.0)
    if not micro:
        micro = _micro_batch(numbers["global_batch"] / dp, software)
        row.filled.append(f"micro_batch {micro:g} (default of {software.name})")
    chunks = row.get("interleave", 0.0)
    if not chunks:
        chunks = _chunks(model["layers"], pp, software)
        if pp > 1:
            row.filled.append(f"interleave {chunks:g} (default of {software.name})")
    recompute = row.text.get("recompute", "").strip().casefold()
    if recompute not in _RECOMPUTE:
        recompute = software.recompute
        row.filled.append(f"recompute {recompute} (default of {software.name})")
    parallel = row.text.get("sequence_parallel", "").strip().casefold()
    split = software.sequence_parallel if not parallel else parallel in ("true", "1", "yes")
    return {
        "tp": tp,
        "pp": pp,
        "dp": dp,
        "cp": cp,
        "ep": ep,
        "expert_tp": 1.0 if experts >= MANY_EXPERTS else tp,
        "chunks": chunks,
        "micro_batch": micro,
        "global_batch": numbers["global_batch"],
        "zero_stage": row.get("zero_stage", float(software.zero_stage)),
        "shard": dp * cp,
        "recompute": _RECOMPUTE[recompute],
        "recomputed": 1.0,
        "sequence_parallel": float(split),
        "zero_bubble": 0.0,
        "gpipe": 0.0,
        "cp_gather": 0.0,
        "offload": 0.0,
        "grad_bytes": float(software.gradient_width),
    }


def _micro_batch(of_rank: float, software: Software) -> float:
    """Return sequences of a micro-batch: all at once before pipelines, else one."""
    return max(1.0, of_rank) if released(software) < 2021 else 1.0


def _chunks(layers: float, pp: float, software: Software) -> float:
    """Return chunks of a stage: two layers each where the software interleaves by default."""
    if pp == 1 or software.family != "core":
        return 1.0
    a_stage = layers / pp
    for each in (_LEAST_LAYERS_A_CHUNK, 1.0, 3.0, 4.0):
        if a_stage % each == 0:
            return a_stage / each
    return 1.0


def stated_step_s(numbers: Mapping[str, float]) -> float:
    """Return the measured step time of a row, else the derived one, else 0."""
    return numbers.get("measured_step_time_s") or numbers.get("derived_step_time_s") or 0.0


def tokens_of_step(model: Transformers, layout: Layouts) -> Array:
    """Return the tokens of one optimiser step."""
    return np.asarray(layout.global_batch * model.seq_len)


def model_flop_of_step(model: Transformers, layout: Layouts) -> Array:
    """Return the model FLOPs of one optimiser step."""
    return np.asarray(counts.model_flop_per_token(model) * tokens_of_step(model, layout))
