"""Predictions for rows: the step model applied, with its error bar and what it stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clusterwright.catalog import Catalog
from clusterwright.compute import counts
from clusterwright.compute import rows as reading
from clusterwright.compute.blocks import blocks
from clusterwright.compute.columns import Array
from clusterwright.compute.errorbars import error_bar_fraction, error_of, within
from clusterwright.compute.footprint import Footprint, footprint
from clusterwright.compute.stack import apply, setting
from clusterwright.compute.steptime import Steps, steps
from clusterwright.units import FlopPerSecond, parse

PREDICTED = (
    "predicted_step_time_s",
    "predicted_tokens_per_s_per_gpu",
    "predicted_tflops_per_gpu",
    "predicted_mfu_fraction",
    "predicted_peak_memory_bytes",
    "fits",
    "error_bar_fraction",
    "reason",
)

_TIMES = ("measured_step_time_s", "derived_step_time_s", "measured_tokens_per_s_per_gpu")


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model says of runs, each array of shape (n,)."""

    step: Steps
    memory: Footprint
    step_s: Array
    tokens_per_s_per_gpu: Array
    flop_per_s_per_gpu: Array
    mfu_fraction: Array
    num_accelerators: Array
    num_parameters: Array


def values_of(catalog: Catalog) -> Array:
    """Return the calibrated factors as an array in the catalogue's order."""
    return np.asarray([one.value for one in catalog.step_factors.values()])


def predict(runs: Sequence[reading.Run], catalog: Catalog) -> Predictions:
    """Return predictions for runs, at least one."""
    model, layout = reading.transformers(runs), reading.layouts(runs)
    given = setting([run.case for run in runs], catalog.step_factors)
    machine, stack = apply(given, values_of(catalog))
    step = steps(model, machine, stack, layout, blocks(model, machine, stack, layout))
    gpus = layout.tp * layout.pp * layout.dp * layout.cp
    seconds = step.step_s
    rate = reading.model_flop_of_step(model, layout) / (seconds * gpus)
    return Predictions(
        step=step,
        memory=footprint(model, stack, layout),
        step_s=seconds,
        tokens_per_s_per_gpu=reading.tokens_of_step(model, layout) / (seconds * gpus),
        flop_per_s_per_gpu=rate,
        mfu_fraction=rate / machine.gemm_flop_per_s,
        num_accelerators=gpus,
        num_parameters=counts.parameters(model),
    )


def estimate_rows(
    rows: Sequence[Mapping[str, str]], catalog: Catalog, *, file: str
) -> list[dict[str, object]]:
    """Return rows with predictions added; unknown columns pass through.

    Raises
    ------
    InvalidInput
        With every cell that is no number.
    """
    numbers = reading.read_numbers(rows, file=file)
    read = [reading.read_run(row, n, catalog) for row, n in zip(rows, numbers, strict=True)]
    runs = [run for run in read if isinstance(run, reading.Run)]
    found = predict(runs, catalog) if runs else None
    answers: list[dict[str, object]] = []
    place = 0
    for row, run in zip(rows, read, strict=True):
        answer: dict[str, object] = {**row, **dict.fromkeys(PREDICTED, "")}
        if isinstance(run, reading.Unread) or found is None:
            answer["reason"] = run.reason if isinstance(run, reading.Unread) else ""
        else:
            answer.update(_answer(run, found, place, catalog))
            place += 1
        answers.append(answer)
    return answers


def compared(
    rows: Sequence[Mapping[str, str]], answers: Sequence[Mapping[str, object]]
) -> tuple[list[str], Array] | None:
    """Return family and predicted over measured time of the rows that hold a time, if any does.

    The measured step time counts, else the derived one, else the tokens per second.
    """
    families: list[str] = []
    ratios: list[float] = []
    for row, answer in zip(rows, answers, strict=True):
        predicted, rate = answer["predicted_step_time_s"], answer["predicted_tokens_per_s_per_gpu"]
        if not isinstance(predicted, float) or not isinstance(rate, float):
            continue
        numbers = {name: float(row[name]) for name in _TIMES if row.get(name, "").strip()}
        stated = reading.stated_step_s(numbers)
        measured_rate = numbers.get("measured_tokens_per_s_per_gpu", 0.0)
        if stated or measured_rate:
            ratios.append(predicted / stated if stated else measured_rate / rate)
            families.append(row.get("family", "") or "own")
    return (families, np.asarray(ratios)) if ratios else None


def _answer(
    run: reading.Run, found: Predictions, place: int, catalog: Catalog
) -> dict[str, object]:
    error, own = error_of(run.case, catalog)
    memory = found.memory.total_bytes[place]
    gpus, parameters = found.num_accelerators[place], found.num_parameters[place]
    said = [f"software {run.case.software.name}", *run.filled]
    if not own:
        said.append(f"outside what was checked; error of the regime {error.name!r}")
    elif not within(error, gpus, parameters):
        said.append("outside the counts and sizes that were checked; the error bar is wider")
    return {
        "predicted_step_time_s": _digits(found.step_s[place]),
        "predicted_tokens_per_s_per_gpu": _digits(found.tokens_per_s_per_gpu[place]),
        "predicted_tflops_per_gpu": _tera(found.flop_per_s_per_gpu[place]),
        "predicted_mfu_fraction": _digits(found.mfu_fraction[place]),
        "predicted_peak_memory_bytes": float(round(memory)),
        "fits": bool(memory <= run.case.accelerator.memory_bytes),
        "error_bar_fraction": _digits(error_bar_fraction(error, gpus, parameters)),
        "reason": "; ".join(said),
    }


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _tera(flop_per_s: float) -> float:
    return _digits(flop_per_s / parse("1 TFLOP/s", FlopPerSecond))
