"""How fast a campaign trains, on how many accelerators, under which parallel strategy.

A campaign's time is its optimiser steps, each as long as the step model says, over goodput. The
strategy is the fastest that fits of those of `grid`, unless the demand states one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from clusterwright.compute import grid
from clusterwright.compute.columns import Machines, Stacks, Transformers
from clusterwright.compute.errorbars import error_bar_fraction, within
from clusterwright.compute.models import columns_of
from clusterwright.compute.stack import Case, apply, peak_flop_per_s, setting
from clusterwright.compute.steptime import Steps
from clusterwright.compute.work import TrainingWork
from clusterwright.model.compute import StepCause, StepPart, Strategy
from clusterwright.model.market import Software, StepError, StepFactor
from clusterwright.model.parts import Accelerator
from clusterwright.units import SECONDS_PER_HOUR, Bytes, Fraction, Seconds
from clusterwright.units import format as show

_GUESS = 0.4  # share of the peak from which the search for a count starts
_KEPT = 96  # ways that are tried again for other numbers of accelerators
_HELPS = 0.97  # more accelerators that leave more than this of the time do not help any more
_MOST = 1 << 22  # accelerators; no pool is larger
_SHOWN = 4  # strategies beside the chosen one
_CAUSES: Mapping[str, StepCause] = {
    "gemm_s": "matrix products",
    "attention_s": "attention",
    "stream_s": "memory traffic",
    "recompute_s": "recomputation",
    "update_s": "optimiser",
    "launch_s": "launches",
    "tp_s": "tensor-parallel messages",
    "cp_s": "context-parallel messages",
    "ep_s": "expert messages",
    "pp_s": "stage messages",
    "dp_s": "gradient messages",
    "bubble_s": "pipeline bubble",
    "hidden_s": "hidden messages",
}
"""Name of each column of `Steps`: work first, then what is lost, then what costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a campaign would run on."""

    accelerator: Accelerator
    """The accelerator."""
    precision: str
    """Number format of the matrix multiplications."""
    software: Software
    """The training software."""
    factors: Mapping[str, StepFactor]
    """Calibrated numbers of the step model."""
    error: StepError
    """How wrong the step model was in the regime nearest to this one."""
    checked: bool
    """Whether that regime is this one."""
    num_per_server: int
    """Accelerators in one server."""
    reserve_fraction: Fraction
    """Memory kept free for what the footprint may miss."""
    checkpoint_bytes_per_parameter: float
    """Bytes of a full checkpoint for one parameter."""

    @property
    def usable_bytes(self) -> Bytes:
        """Memory that a strategy may fill."""
        return self.accelerator.memory_bytes * (1 - self.reserve_fraction)

    @property
    def peak_flop_per_s(self) -> float:
        """Dense peak in the campaign's number format."""
        return peak_flop_per_s(self.accelerator, self.precision)


@dataclass(slots=True)
class Campaign:
    """A campaign on one kind of accelerator: what is worked out for a number of them is kept."""

    work: TrainingWork
    hardware: Hardware
    _model: Transformers = field(init=False)
    _machine: Machines = field(init=False)
    _stack: Stacks = field(init=False)
    _ways: dict[bool, grid.Ways] = field(init=False)
    _short: grid.Ways | None = field(init=False, default=None)
    _busy: dict[int, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Bring model and hardware into columns."""
        work, own = self.work, self.hardware
        columns = columns_of(work.model)
        self._model = Transformers(**{name: np.asarray(value) for name, value in columns.items()})
        case = case_of(work, own.accelerator, own.software, own.precision)
        values = np.asarray([one.value for one in own.factors.values()])
        machine, stack = apply(setting([case], own.factors), values)
        self._machine, self._stack = machine.only(), stack.only()
        domain = own.accelerator.scaleup_domain
        self._ways = {False: grid.ways(columns, domain=domain)}
        if work.stated is not None:
            self._ways[True] = grid.ways(columns, domain=domain, stated=work.stated)

    @property
    def replica(self) -> int:
        """Accelerators of one copy of the model where the demand states its strategy, else 1."""
        stated = self.work.stated
        return 1 if stated is None else stated.tp * stated.pp * stated.cp

    @property
    def widest(self) -> int:
        """Accelerators of the widest copy of the model."""
        known = self._ways.get(True) or self._ways[False]
        return round(float((known.tp * known.pp * known.cp).max()))

    def timed(self, num_accelerators: int, *, stated: bool = False) -> grid.Timed | None:
        """Return the layouts on at most so many accelerators, the stated ones only if asked."""
        known = self._ways.get(stated)
        return None if known is None else self._timed(known, num_accelerators)

    def busy_s(self, num_accelerators: int) -> float:
        """Return the time of all steps on so many accelerators; infinite where none fits.

        The first answer tries all ways; the others only those that were good then.
        """
        if num_accelerators not in self._busy:
            known = self._ways.get(True) or self._short or self._ways[False]
            found = self._timed(known, num_accelerators)
            self._busy[num_accelerators] = math.inf if found is None else self._best_s(found, known)
        return self._busy[num_accelerators]

    def _best_s(self, found: grid.Timed, known: grid.Ways) -> float:
        order = grid.order(found, self.hardware.usable_bytes)
        if found.memory.total_bytes[order[0]] > self.hardware.usable_bytes:
            return math.inf
        if self._short is None:
            good = list(dict.fromkeys(int(found.way[row]) for row in order))[:_KEPT]
            self._short = known.take(np.asarray(good))
        return float(found.step.step_s[order[0]]) * self.work.num_steps

    def _timed(self, known: grid.Ways, num_accelerators: int) -> grid.Timed | None:
        return grid.timed(
            self._machine,
            self._stack,
            self._model,
            known,
            num_accelerators=num_accelerators,
            num_global_batch=self.work.num_global_batch,
            gradient_bytes=float(self.hardware.software.gradient_width),
        )


def case_of(
    work: TrainingWork, accelerator: Accelerator, software: Software, precision: str
) -> Case:
    """Return what the step model is asked about."""
    return Case(
        accelerator=accelerator,
        software=software,
        precision=precision,
        num_experts=int(columns_of(work.model)["experts"]),
    )


def accelerators_needed(
    campaign: Campaign, *, goodput_fraction: Fraction, num_per_server: int, unit_servers: int
) -> int:
    """Return the fewest accelerators that can be bought and finish in time.

    A pool of more than one scalable unit is whole units, since the leaves of a unit are bought
    together; a smaller pool is whole servers. Where no number is enough, the answer is the one
    beyond which more hardly help.
    """
    target = campaign.work.within_s * goodput_fraction

    def bought(number: float) -> int:
        return rounded_up(number, num_per_server=num_per_server, unit_servers=unit_servers)

    # 1. A number that is enough: from what the FLOPs ask for, doubling. No more than what leaves
    # every copy of the model a sequence of the batch.
    most = bought(min(_MOST, campaign.work.num_global_batch * campaign.widest))
    ideal = campaign.work.model_flop / (campaign.hardware.peak_flop_per_s * _GUESS * target)
    enough = bought(min(ideal, most))
    while enough < most and campaign.busy_s(enough) > target:
        enough = min(bought(1.3 * enough + 1), most)
    target = max(target, campaign.busy_s(enough) / _HELPS if enough == most else 0.0)
    if not math.isfinite(target):
        return enough
    # 2. The fewest: between one that is too few and this, by halves.
    unit = unit_servers * num_per_server
    few = 0
    while (step := unit if enough > unit else num_per_server) and enough - few > step:
        near = enough * campaign.busy_s(enough) / target
        middle = min(max(bought(max(near, (few + enough) / 2)), step), enough - step)
        if campaign.busy_s(middle) <= target:
            enough = middle
        else:
            few = middle
    return enough


def rounded_up(needed: float, *, num_per_server: int, unit_servers: int) -> int:
    """Return a count that can be bought: whole servers, or whole scalable units beyond one."""
    unit = unit_servers * num_per_server
    step = unit if needed > unit else num_per_server
    return max(step, math.ceil(needed / step - 1e-9) * step)


def strategies(
    campaign: Campaign, num_accelerators: int, *, pool: str, goodput: Fraction
) -> tuple[Strategy, ...]:
    """Return the strategy to count on, and others to compare it with.

    The demand's own strategy is taken when it states one that fits; otherwise the fastest of the
    grid that fits. The others are the best of other ranks.
    """
    usable = campaign.hardware.usable_bytes
    found: list[Strategy] = []
    own = campaign.timed(num_accelerators, stated=True)
    if own is not None:
        row = grid.order(own, usable)[0]
        found.append(_strategy(campaign, own, row, pool, goodput, stated=True))
    every = campaign.timed(num_accelerators)
    if every is not None:
        for row in _best_by_ranks(every, usable):
            one = _strategy(campaign, every, row, pool, goodput, stated=False)
            if not any(_same(one, known) for known in found):
                found.append(one)
    chosen = next((one for one in found if one.fits), found[0] if found else None)
    shown = [one for one in found if one is chosen or one.fits][: _SHOWN + 1]
    return tuple(
        _marked(one, chosen=one is chosen)
        for one in sorted(shown, key=lambda one: one is not chosen)
    )


def _best_by_ranks(found: grid.Timed, usable: Bytes) -> list[int]:
    """Return the best layout of each set of ranks, the fastest that fits first."""
    layout = found.layout
    seen: dict[tuple[float, ...], int] = {}
    for row in grid.order(found, usable):
        ranks = tuple(float(column[row]) for column in (layout.tp, layout.pp, layout.cp, layout.ep))
        seen.setdefault(ranks, row)
        if len(seen) > _SHOWN:
            break
    return list(seen.values())


def _strategy(
    campaign: Campaign, found: grid.Timed, row: int, pool: str, goodput: float, *, stated: bool
) -> Strategy:
    work, hardware = campaign.work, campaign.hardware
    layout = found.layout.take(np.intp(row))
    step = found.step.take(np.intp(row))
    step_s = float(step.step_s)
    used = round(float(layout.tp * layout.pp * layout.cp * layout.dp))
    busy_s = step_s * work.num_steps
    needed = float(found.memory.total_bytes[row])
    usable = hardware.usable_bytes
    parameters = work.shape.num_parameters
    waiting = float(step.bubble_s) / step_s
    exposed = float(step.tp_s + step.cp_s + step.ep_s + step.pp_s + step.dp_s) / step_s
    return Strategy(
        workload=work.name,
        pool=pool,
        chosen=False,
        stated=stated,
        accelerator=hardware.accelerator.name,
        tp=round(float(layout.tp)),
        pp=round(float(layout.pp)),
        dp=round(float(layout.dp)),
        cp=round(float(layout.cp)),
        ep=round(float(layout.ep)),
        zero_stage=round(float(layout.zero_stage)),
        micro_batch=round(float(layout.micro_batch)),
        chunks=round(float(layout.chunks)),
        recomputed_fraction=float(layout.recomputed),
        num_global_batch=work.num_global_batch,
        precision=hardware.precision,
        software=hardware.software.name,
        num_accelerators=used,
        model_flop=work.model_flop,
        peak_flop_per_s=hardware.peak_flop_per_s,
        step_time_s=step_s,
        parts=_parts(step),
        error_bar_fraction=error_bar_fraction(hardware.error, used, parameters),
        estimated=not (hardware.checked and within(hardware.error, used, parameters)),
        mfu_fraction=work.model_flop / (busy_s * used * hardware.peak_flop_per_s),
        tokens_per_s=work.batch_tokens / step_s,
        memory_bytes=needed,
        fits=needed <= usable,
        duration_s=busy_s / goodput,
        accelerator_hours=used * busy_s / goodput / SECONDS_PER_HOUR,
        checkpoint_bytes=hardware.checkpoint_bytes_per_parameter * parameters,
        reason=(
            f"step {show(step_s, Seconds)}, {show(waiting, Fraction)} of it bubble, "
            f"{show(exposed, Fraction)} exposed messages; "
            f"{show(needed, Bytes)} of {show(usable, Bytes)} usable memory"
        ),
    )


def _parts(step: Steps) -> tuple[StepPart, ...]:
    """Return the parts of one step that take time."""
    times_s = {name: float(getattr(step, column)) for column, name in _CAUSES.items()}
    return tuple(
        StepPart(name=name, time_s=time_s, exposed=name != "hidden messages")
        for name, time_s in times_s.items()
        if time_s > 0
    )


def _same(one: Strategy, other: Strategy) -> bool:
    return (one.tp, one.pp, one.cp, one.ep) == (other.tp, other.pp, other.cp, other.ep)


def _marked(one: Strategy, *, chosen: bool) -> Strategy:
    why = "the demand states it" if one.stated else "fastest that fits"
    if not chosen:
        why = "shown for comparison"
    return replace(one, chosen=chosen, reason=f"{why}; {one.reason}")
