"""Fitting the factors of the step model to measured rows, and checking it on families left out.

The fit is a ridge: every factor has a prior and a spread, and moves from it only as far as the rows
insist. A row counts by the logarithm of predicted over measured time, robustly, so that a single
odd run does not bend the rest; lines of weak scaling and large families weigh less a row.

Checked by leaving out whole families: the model that predicts a family has seen none of its rows,
nor its software's own factor unless other families used that software too.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clusterwright.catalog import Catalog
from clusterwright.compute import rows as reading
from clusterwright.compute.blocks import blocks
from clusterwright.compute.columns import Array, Layouts, Transformers
from clusterwright.compute.footprint import footprint
from clusterwright.compute.stack import Setting, apply, setting
from clusterwright.compute.steptime import steps
from clusterwright.errors import Fault, InvalidInput
from clusterwright.units import Bytes, parse

_NOISE = 0.06  # error of a row that counts fully; beyond it the loss grows linearly
_FAMILY_ROWS = 20.0  # rows above which a family's weight grows slower than its rows
_ROUNDS = 30
_MOVE = 1e-5  # of a factor's logarithm, to see which way the errors go
_DAMPING = 1e-3  # of a first step, as a share of the curvature
_DAMPED = 8.0  # by which damping grows after a step that failed, and shrinks after one that did not
_STUCK = 1e6  # damping beyond which no step is worth trying
_SETTLED = 1e-9  # share of the sum of squares below which a step saves nothing worth having


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with a measured time, and everything that is needed to predict them."""

    ids: tuple[str, ...]
    families: npt.NDArray[np.str_]
    """Family of each row: rows of one source, predicted without each other."""
    models: tuple[str, ...]
    """Name of each row's model."""
    kinds: npt.NDArray[np.str_]
    """`measured` or `derived` for each row's time."""
    runs: tuple[reading.Run, ...]
    model: Transformers
    layout: Layouts
    given: Setting
    seconds: Array
    memory_bytes: Array
    """Measured peak memory; 0 where none was."""
    weights: Array
    single: npt.NDArray[np.bool_]
    """True where the accelerator occurs in one family only."""
    skipped: Mapping[str, str]
    """Reason by id of every row that is not scored."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted factors and how wrong the model is with them."""

    values: Array
    """Value of each factor, in the catalogue's order."""
    fitted: Array
    """Predicted over measured time of each row, all rows seen."""
    held_out: Array
    """The same with the row's whole family left out of the fit."""
    memory: Array
    """Predicted over measured memory; not a number where none was measured."""


def scored(rows: Sequence[Mapping[str, str]], catalog: Catalog, *, file: str) -> Scored:
    """Return the rows that can be scored.

    Raises
    ------
    InvalidInput
        With every cell that is no number, or if no row can be scored.
    """
    numbers = reading.read_numbers(rows, file=file)
    kept: list[int] = []
    runs: list[reading.Run] = []
    skipped: dict[str, str] = {}
    for place, (row, given) in enumerate(zip(rows, numbers, strict=True)):
        run = reading.read_run(row, given, catalog)
        name = row.get("id") or f"line {place + 2}"
        if isinstance(run, reading.Unread):
            skipped[name] = run.reason
        elif not _measured(given, run):
            skipped[name] = "no step time and no tokens per second"
        else:
            kept.append(place)
            runs.append(run)
    if not runs:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:3])
        raise InvalidInput(
            [Fault(file=file, message=f"no row can be scored ({reasons or 'there is none'})")]
        )
    families = np.array([rows[place].get("family") or "own" for place in kept])
    parts = [run.case.accelerator.name for run in runs]
    homes = {part: {f for f, p in zip(families, parts, strict=True) if p == part} for part in parts}
    return Scored(
        ids=tuple(rows[place].get("id") or f"line {place + 2}" for place in kept),
        families=families,
        models=tuple(rows[place].get("model", "") for place in kept),
        kinds=np.array([_kind(numbers[place]) for place in kept]),
        runs=tuple(runs),
        model=reading.transformers(runs),
        layout=reading.layouts(runs),
        given=setting([run.case for run in runs], catalog.step_factors),
        seconds=np.array([_measured(numbers[p], r) for p, r in zip(kept, runs, strict=True)]),
        memory_bytes=np.array([_memory(numbers[place]) for place in kept]),
        weights=_weights(families, runs),
        single=np.array([len(homes[part]) == 1 for part in parts]),
        skipped=skipped,
    )


def calibrate(
    found: Scored, catalog: Catalog, *, progress: Callable[[str, int, int], None] | None = None
) -> Calibration:
    """Fit the factors, then predict each family with factors that have not seen it."""
    names = list(dict.fromkeys(found.families.tolist()))
    if progress:
        progress("all rows", 0, len(names) + 1)
    values = fit(found, catalog, np.arange(len(found.seconds)))
    fitted = seconds_of(found, values) / found.seconds
    held_out = np.ones_like(fitted)
    for place, family in enumerate(names, start=1):
        if progress:
            progress(f"without {family}", place, len(names) + 1)
        mine = found.families == family
        if mine.all():
            held_out = fitted.copy()
            break
        other = fit(found, catalog, np.flatnonzero(~mine))
        held_out[mine] = (seconds_of(found, other) / found.seconds)[mine]
    _, stack = apply(found.given, values)
    needed = footprint(found.model, stack, found.layout).total_bytes
    known = found.memory_bytes > 0
    memory = np.where(known, needed / np.where(known, found.memory_bytes, 1.0), np.nan)
    return Calibration(values, fitted, held_out, memory)


def seconds_of(found: Scored, values: Array, rows: npt.NDArray[np.intp] | None = None) -> Array:
    """Return predicted step times under values of the factors."""
    model, layout, given = found.model, found.layout, found.given
    if rows is not None:
        model, layout, given = model.take(rows), layout.take(rows), given.take(rows)
    machine, stack = apply(given, values)
    return steps(model, machine, stack, layout, blocks(model, machine, stack, layout)).step_s


def fit(found: Scored, catalog: Catalog, rows: npt.NDArray[np.intp]) -> Array:
    """Return the values of the factors that explain the chosen rows best."""
    factors = list(catalog.step_factors.values())
    prior = np.log([one.prior for one in factors])
    spread = np.array([one.spread_fraction for one in factors])
    # A factor that no chosen row uses stays where physics puts it.
    used = np.unique(np.concatenate([role[rows] for role in found.given.roles.values()]))
    free = np.flatnonzero((spread > 0) & np.isin(np.arange(len(factors)), used))
    target, weight = np.log(found.seconds[rows]), found.weights[rows] / _NOISE

    def residuals(moved: Array) -> Array:
        logs = np.broadcast_to(prior, (*moved.shape[:-1], len(prior))).copy()
        logs[..., free] = moved
        error = (np.log(seconds_of(found, np.exp(logs), rows)) - target) * weight
        # Pseudo-Huber: square for errors within the noise, linear beyond.
        robust = np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + error**2) - 1.0))
        return np.concatenate([robust, (moved - prior[free]) / spread[free]], axis=-1)

    logs = prior.copy()
    logs[free] = _least_squares(residuals, prior[free])
    return np.asarray(np.exp(logs))


def _least_squares(residuals: Callable[[Array], Array], start: Array) -> Array:
    """Return where the sum of squares is least: Levenberg's and Marquardt's damped steps.

    `residuals` takes points of shape (..., n). The sums are not left to a linear-algebra library:
    for matrices as small as these, its threads wait for each other longer than they work.
    """
    at, damping = start, _DAMPING
    # The point itself, then each of its numbers moved, in a single call of the model.
    moves = np.vstack([np.zeros(len(at)), _MOVE * np.eye(len(at))])
    for _ in range(_ROUNDS):
        there = residuals(at + moves)
        here, slopes = there[0], (there[1:] - there[0]) / _MOVE
        square = np.einsum("ir,jr->ij", slopes, slopes)
        descent = -np.einsum("ir,r->i", slopes, here)
        cost = float(np.einsum("r,r->", here, here))
        while True:
            step = np.linalg.solve(square + damping * np.diag(np.diag(square)), descent)
            fresh = residuals(at + step)
            saved = cost - float(np.einsum("r,r->", fresh, fresh))
            if saved > 0 or damping > _STUCK:
                break
            damping *= _DAMPED
        if saved <= 0:
            return at
        at, damping = at + step, damping / _DAMPED
        if saved < _SETTLED * cost:
            return at
    return at


def _kind(numbers: Mapping[str, float]) -> str:
    return "measured" if numbers.get("measured_step_time_s") else "derived"


def _measured(numbers: Mapping[str, float], run: reading.Run) -> float:
    """Return the measured step time, else the derived one, else the one of the tokens/s."""
    stated = reading.stated_step_s(numbers)
    if stated:
        return stated
    rate = numbers.get("measured_tokens_per_s_per_gpu")
    if not rate:
        return 0.0
    layout = run.layout
    gpus = layout["tp"] * layout["pp"] * layout["dp"] * layout["cp"]
    return layout["global_batch"] * run.model["seq_len"] / (rate * gpus)


def _memory(numbers: Mapping[str, float]) -> float:
    return parse(f"{numbers.get('measured_peak_mem_GiB', 0.0)} GiB", Bytes)


def _weights(families: npt.NDArray[np.str_], runs: Sequence[reading.Run]) -> Array:
    """Return row weights: a line of weak scaling counts as one, a large family less a row."""
    keys = []
    for family, run in zip(families.tolist(), runs, strict=True):
        layout = {name: value for name, value in run.layout.items() if name not in _GROWS}
        each = run.layout["global_batch"] / run.layout["dp"]
        keys.append(
            (
                *(
                    family,
                    run.case.accelerator.name,
                    run.case.precision,
                    run.case.software.name,
                    each,
                ),
                *(*run.model.values(), *layout.values()),
            )
        )
    lines, sizes = Counter(keys), Counter(families.tolist())
    return np.array(
        [
            (lines[key] ** -0.5) * (_FAMILY_ROWS / sizes[family]) ** 0.25
            for key, family in zip(keys, families.tolist(), strict=True)
        ]
    )


_GROWS = ("dp", "shard", "global_batch")
"""What grows along a line of weak scaling."""
