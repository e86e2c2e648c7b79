"""Rows that name an encoder, an accelerator and a batch, as training steps with predictions.

A wrong cell is the reader's to mend, so all of them are told at once; what is left out is filled,
and said. The step model's factors were calibrated on language models: what they are worth here is
told by docs/explanation/models.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from clusterwright.catalog import Catalog
from clusterwright.compute import operators as ops
from clusterwright.compute.columns import Array, Machines, Stacks
from clusterwright.compute.stack import Case, apply, bits_of, peak_flop_per_s, setting
from clusterwright.compute.told import accelerator_of, software_named
from clusterwright.errors import Fault, InvalidInput, UnknownName, nearest
from clusterwright.model.encoder import Encoder

PREDICTED = (
    "predicted_step_time_s",
    "predicted_samples_per_s",
    "predicted_samples_per_s_per_gpu",
    "predicted_flop_per_sample",
    "predicted_macs_per_sample",
    "predicted_parameters",
    "predicted_flop_per_byte",
    "predicted_peak_memory_bytes",
    "fits",
    "compute_bound_fraction",
    "memory_bound_fraction",
    "launch_fraction",
    "reduction_fraction",
    "reason",
)
NEEDED = ("encoder", "gpu", "gpus", "batch")
_OLD_ARCHITECTURES = ("volta", "turing", "ampere")
_SOFTWARE = {True: "pytorch-ddp-2021", False: "pytorch-ddp-2024"}
_T = TypeVar("_T")
_PRECISIONS = {"amp": "fp16", "half": "fp16", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class Task:
    """One row, filled."""

    encoder: Encoder
    case: Case
    gpus: float
    """Accelerators, each with the whole encoder."""
    batch: float
    """Samples of one accelerator and step."""
    filled: tuple[str, ...] = ()
    """What the row left open, and what was taken."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of a task."""

    listed: ops.Operators
    cost: ops.Costs
    step: ops.EncoderStep


def predict(task: Task, catalog: Catalog) -> Prediction:
    """Return what a task costs, operator by operator and in all."""
    machine, stack = _columns(task.case, catalog)
    listed = ops.operators(catalog.operators_of(task.encoder.name))
    batch = np.asarray(task.batch)
    cost = ops.costs(listed, machine, stack, batch)
    width = np.asarray(float(task.case.software.gradient_width))
    step = ops.training_step(listed, cost, machine, stack, batch, np.asarray(task.gpus), width)
    return Prediction(listed, cost, step)


def estimate_rows(
    rows: Sequence[Mapping[str, str]], catalog: Catalog, *, file: str
) -> tuple[list[dict[str, object]], list[list[dict[str, object]]]]:
    """Return rows with predictions added, and the operators of each; unknown columns pass through.

    Raises
    ------
    InvalidInput
        With every cell that is missing, no number, or a name that nobody knows.
    """
    faults: list[Fault] = []
    tasks = [
        _read(row, catalog, faults, file=file, line=line) for line, row in enumerate(rows, start=2)
    ]
    if faults:
        raise InvalidInput(faults)
    answers: list[dict[str, object]] = []
    each: list[list[dict[str, object]]] = []
    for row, task in zip(rows, tasks, strict=True):
        assert task is not None
        found = predict(task, catalog)
        answers.append({**row, **_answer(task, found)})
        each.append(breakdown(task.encoder.name, found.listed, catalog, found.cost))
    return answers, each


def breakdown(
    encoder: str, listed: ops.Operators, catalog: Catalog, cost: ops.Costs | None = None
) -> list[dict[str, object]]:
    """Return the operators of an encoder as rows, with their times where costs are given."""
    rows: list[dict[str, object]] = []
    for place, part in enumerate(catalog.operators_of(encoder)):
        row: dict[str, object] = {
            "operator": part.name.removeprefix(f"{encoder} "),
            "kind": part.kind,
            "repeats": part.repeats,
            "parameters": float(listed.repeats[place] * listed.weights[place]),
            "macs_per_sample": float(listed.repeats[place] * listed.macs[place]),
        }
        if cost is not None:
            one = cost.take(np.intp(place))
            row |= {
                "flop_per_byte": _digits(one.flop_per_byte),
                "forward_s": _digits(part.repeats * one.forward_s),
                "backward_s": _digits(part.repeats * one.backward_s),
                "bound": "compute" if one.compute_bound else "memory",
            }
        rows.append(row)
    return rows


def compared(
    rows: Sequence[Mapping[str, str]], answers: Sequence[Mapping[str, object]]
) -> Array | None:
    """Return predicted over measured step time of the rows with `measured_samples_per_s`."""
    ratios = []
    for row, answer in zip(rows, answers, strict=True):
        measured = row.get("measured_samples_per_s", "").strip()
        predicted = answer["predicted_samples_per_s"]
        if measured and isinstance(predicted, float):
            ratios.append(float(measured) / predicted)
    return np.asarray(ratios) if ratios else None


def _columns(case: Case, catalog: Catalog) -> tuple[Machines, Stacks]:
    values = np.asarray([one.value for one in catalog.step_factors.values()])
    machine, stack = apply(setting([case], catalog.step_factors), values)
    return machine.only(), stack.only()


def _read(
    row: Mapping[str, str], catalog: Catalog, faults: list[Fault], *, file: str, line: int
) -> Task | None:
    """Return a row as a task, or None with its faults added."""
    cells = _Cells(row, faults, file=file, line=line, before=len(faults))
    for name in NEEDED:
        if not cells.text(name):
            other = [one for one in row if one not in NEEDED]
            near = nearest(name, other) if name not in row else []
            needed = f"needed columns: {', '.join(NEEDED)}"
            cells.fault(name, "is missing", f"did you mean {near[0]!r}?" if near else needed)
    filled: list[str] = []
    encoder = cells.named("encoder", catalog.encoder)
    accelerator = cells.named("gpu", lambda text: accelerator_of(text, catalog, filled))
    software = cells.named("software", lambda text: software_named(text, catalog))
    gpus, batch = cells.count("gpus"), cells.count("batch")
    rate = cells.text("measured_samples_per_s")
    if rate and not _positive(rate):
        cells.fault("measured_samples_per_s", f"{rate!r} is no number above zero", "leave it empty")
    precision = cells.named("precision", _precision)
    if precision is not None and accelerator is not None:
        cells.named("precision", lambda text: peak_flop_per_s(accelerator, _precision(text)))
    if cells.broken or accelerator is None or encoder is None:
        return None
    if software is None:
        old = accelerator.architecture in _OLD_ARCHITECTURES
        software = catalog.software[_SOFTWARE[old]]
        filled.append(f"software {software.name} (default)")
    if precision is None:
        precision = "bf16" if "bf16" in accelerator.peak_flop_per_s else "fp16"
        filled.append(f"precision {precision} (default)")
    case = Case(accelerator=accelerator, software=software, precision=precision)
    return Task(encoder, case, gpus, batch, tuple(filled))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """The cells of one row, and where their faults go."""

    row: Mapping[str, str] = field(kw_only=False)
    faults: list[Fault] = field(kw_only=False)
    file: str
    line: int
    before: int
    """Faults that were there before this row."""

    @property
    def broken(self) -> bool:
        """Whether a cell of this row has a fault."""
        return len(self.faults) > self.before

    def text(self, name: str) -> str:
        return self.row.get(name, "").strip()

    def fault(self, name: str, message: str, remedy: str = "") -> None:
        names = list(self.row)
        column = names.index(name) + 1 if name in self.row else None
        fault = Fault(
            file=self.file,
            line=self.line,
            column=column,
            path=name,
            message=message,
            remedy=remedy,
        )
        self.faults.append(fault)

    def named(self, name: str, find: Callable[[str], _T]) -> _T | None:
        """Return what a cell names; None where it is empty or nobody knows the name."""
        if not self.text(name):
            return None
        try:
            return find(self.text(name))
        except UnknownName as error:
            message, _, remedy = str(error).partition("; ")
            self.fault(name, message, remedy)
            return None

    def count(self, name: str) -> float:
        """Return a whole number above zero; zero, with a fault, where the cell holds another."""
        text = self.text(name)
        if text.isdecimal() and float(text) >= 1:
            return float(text)
        if text:
            self.fault(name, f"{text!r} is no whole number above zero", "write one, such as 8")
        return 0.0


def _precision(text: str) -> str:
    """Return a number format under the name that we know it by."""
    name = _PRECISIONS.get(text.casefold(), text.casefold())
    bits_of(name)
    return name


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _answer(task: Task, found: Prediction) -> dict[str, object]:
    listed, cost, step = found.listed, found.cost, found.step
    seconds = float(step.step_s)
    rate = task.gpus * task.batch / seconds
    flop = float(np.sum(listed.repeats * cost.flop))
    memory = float(step.memory_bytes)
    said = [*task.filled, "factors calibrated on language models, not on encoders"]
    return {
        "predicted_step_time_s": _digits(seconds),
        "predicted_samples_per_s": _digits(rate),
        "predicted_samples_per_s_per_gpu": _digits(rate / task.gpus),
        "predicted_flop_per_sample": float(round(flop / task.batch)),
        "predicted_macs_per_sample": float(round(float(ops.macs_per_sample(listed)))),
        "predicted_parameters": float(round(float(ops.parameters(listed)))),
        "predicted_flop_per_byte": _digits(flop / float(np.sum(listed.repeats * cost.moved_bytes))),
        "predicted_peak_memory_bytes": float(round(memory)),
        "fits": bool(memory <= task.case.accelerator.memory_bytes),
        "compute_bound_fraction": _digits(step.compute_s / seconds),
        "memory_bound_fraction": _digits((step.memory_s + step.update_s) / seconds),
        "launch_fraction": _digits(step.launch_s / seconds),
        "reduction_fraction": _digits(step.reduction_s / seconds),
        "reason": "; ".join(said),
    }


def _digits(value: Array | float) -> float:
    return float(f"{float(value):.6g}")
