"""`clusterwright search`: the fastest way to train a model on given accelerators."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from cyclopts import Parameter

from clusterwright.catalog import Catalog
from clusterwright.cli import load, strategies
from clusterwright.cli.common import Common
from clusterwright.cli.output import API_VERSION, Answer, emit
from clusterwright.compute import stack
from clusterwright.compute.columns import Transformers
from clusterwright.compute.errorbars import error_of
from clusterwright.compute.models import columns_of
from clusterwright.compute.predict import values_of
from clusterwright.compute.search import Found, Question
from clusterwright.compute.search import search as search_space
from clusterwright.compute.sensitivity import INPUTS, elasticities, what_if
from clusterwright.compute.space import Space, enumerate_space
from clusterwright.compute.told import software_of
from clusterwright.errors import ExitCode, UnknownName, UsageError
from clusterwright.model.market import Preset
from clusterwright.units import Bytes
from clusterwright.units import format as show

Part = TypeVar("Part")

_MOST = 10**6  # beyond this a count is a slip of the keyboard, and its divisors take long to try
_DOUBLED = ("scaleout_bytes_per_s", "scaleup_bytes_per_s", "memory_bytes")


def search(
    what: Literal["training"],
    *,
    model: Annotated[str, Parameter(name=["--model", "-m"])],
    accelerator: Annotated[str, Parameter(name=["--accelerator", "-a"])],
    gpus: Annotated[str, Parameter(name=["--gpus", "-n"])],
    global_batch: Annotated[str, Parameter(name=["--global-batch", "-b"])],
    seq_len: Annotated[str | None, Parameter(name="--seq-len")] = None,
    precision: Annotated[str | None, Parameter(name="--precision")] = None,
    software: Annotated[str | None, Parameter(name="--software")] = None,
    fix: Annotated[tuple[str, ...], Parameter(name="--fix", negative=())] = (),
    exhaustive: Annotated[bool, Parameter(negative=())] = False,
    top: Annotated[str, Parameter(name="--top")] = "5",
    what_if: Annotated[bool, Parameter(name="--what-if")] = True,
    catalog: Annotated[str | None, Parameter(name="--catalog")] = None,
    common: Common | None = None,
) -> int:
    """Find the fastest parallel strategies that fit in memory, and say what binds.

    Answers with the best strategy of each of the best splits (tensor, pipeline, data, context and
    expert ranks). Exit code 1 says that none is legal, or none fits: the answer then says what
    lacks.

    Parameters
    ----------
    what
        Which search: training.
    model
        A model of the catalogue (`clusterwright catalog presets`).
    accelerator
        An accelerator of the catalogue.
    gpus
        How many of them; all are used.
    global_batch
        Sequences of one optimiser step.
    seq_len
        Tokens of a sequence; the model's own when left out.
    precision
        Number format of the linear layers, such as bf16 or fp8.
    software
        Training software and generation; left out, what fits the accelerator's age.
    fix
        Keep only strategies with this choice, such as `tp=8` or `recompute=none`; may be given
        several times.
    exhaustive
        Try every strategy instead of those that the bounds leave; the answer is the same.
    top
        How many splits to show.
    what_if
        Search again with twice the links and the memory.
    catalog
        Directory of your own parts, laid over the catalogue.
    """
    del what  # training is the only search so far; others join here
    common = common or Common()
    parts = load.the_catalog(catalog)
    task = _task(
        parts,
        {
            "--gpus": gpus,
            "--global-batch": global_batch,
            "--seq-len": seq_len,
            "--top": top,
            "--model": model,
            "--accelerator": accelerator,
            "--precision": precision,
            "--software": software,
        },
        fix,
    )
    began = time.perf_counter()
    question = _question(task, parts)
    found = search_space(question, exhaustive=exhaustive, top=task.top)
    wall_s = time.perf_counter() - began
    items = strategies.items(found, question, task.terms(parts), gpus=task.gpus)
    if items:
        items[0]["sensitivity"] = _sensitivity(found, question, again=what_if)
    reason = "" if items else _why_none(found, question, task)
    status = {
        "feasible": bool(items),
        "reason": reason,
        "num_points": question.space.num_points,
        "num_evaluated": found.num_evaluated,
        "num_feasible": found.num_feasible,
        "wall_s": wall_s,
    }
    spec = task.spec(parts)
    document = {
        "apiVersion": API_VERSION,
        "kind": "StrategyList",
        "spec": spec,
        "items": items,
        "status": status,
    }
    emit(
        Answer(
            document=document,
            rows=[strategies.flat(item) for item in items],
            columns=strategies.COLUMNS,
            text=strategies.text(document),
        ),
        common,
    )
    return ExitCode.OK if items else ExitCode.NO


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What was asked, read."""

    preset: Preset
    case: stack.Case
    gpus: int
    global_batch: int
    seq_len: int
    top: int
    fixed: Mapping[str, float]

    def terms(self, parts: Catalog) -> strategies.Terms:
        error, own = error_of(self.case, parts)
        asked = self.gpus, self.preset.num_parameters
        return strategies.terms(parts, self.case.accelerator, error, own=own, asked=asked)

    def spec(self, parts: Catalog) -> dict[str, Any]:
        terms = self.terms(parts)
        return {
            "model": self.preset.name,
            "accelerator": self.case.accelerator.name,
            "gpus": self.gpus,
            "global_batch": self.global_batch,
            "seq_len": self.seq_len,
            "precision": self.case.precision,
            "software": self.case.software.name,
            "fixed": dict(self.fixed),
            "usd_per_accelerator_hour": terms.usd_per_accelerator_hour,
            "price_basis": terms.price_basis,
            "accelerator_power_w": terms.accelerator_power_w,
            "power_basis": terms.power_basis,
            "error_bar_fraction": terms.error_bar_fraction,
            "error_basis": terms.error_basis,
        }


def _task(parts: Catalog, words: Mapping[str, str | None], fix: Sequence[str]) -> _Task:
    """Return what was asked.

    Raises
    ------
    UsageError
        With everything that is wrong.
    """
    faults: list[str] = []
    numbers = {
        name: _count(name, words[name], faults)
        for name in ("--gpus", "--global-batch", "--seq-len", "--top")
    }
    preset = _found("--model", parts.preset, words, faults)
    part = _found("--accelerator", parts.accelerator, words, faults)
    named = words["--software"]
    if named is not None and named not in parts.software:
        faults.append(f"--software: {UnknownName.of('software', named, parts.software)}")
    precision = words["--precision"] or parts.default_text("training.precision")
    try:
        stack.bits_of(precision)
        if part is not None:
            stack.peak_flop_per_s(part, precision)
    except UnknownName as error:
        faults.append(f"--precision: {error}")
    fixed = strategies.fixed(fix, faults)
    if faults or preset is None or part is None:
        raise UsageError("\n".join(faults))
    software = parts.software[named] if named else software_of({}, part, parts)
    return _Task(
        preset=preset,
        case=stack.Case(
            accelerator=part, software=software, precision=precision, num_experts=preset.experts
        ),
        gpus=numbers["--gpus"],
        global_batch=numbers["--global-batch"],
        seq_len=numbers["--seq-len"] or preset.sequence_length,
        top=numbers["--top"],
        fixed=fixed,
    )


def _found(
    name: str, find: Callable[[str], Part], words: Mapping[str, str | None], faults: list[str]
) -> Part | None:
    """Return the part that an option names; a name that nobody knows becomes a fault."""
    try:
        return find(words[name] or "")
    except UnknownName as error:
        faults.append(f"{name}: {error}")
        return None


def _count(name: str, text: str | None, faults: list[str]) -> int:
    """Return a count, 0 for one that is left out; a text that is none becomes a fault."""
    if text is None:
        return 0
    try:
        number = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        number = 0
    if not 1 <= number <= _MOST:
        faults.append(f"{name}: {text!r} is no whole number from 1 to {_MOST:,}; write one")
    return number


def _question(task: _Task, parts: Catalog) -> Question:
    columns = columns_of(task.preset, task.seq_len)
    model = Transformers(**{name: np.asarray(value) for name, value in columns.items()})
    given = stack.setting([task.case], parts.step_factors)
    machines, stacks = stack.apply(given, values_of(parts))
    machine, software = machines.only(), stacks.only()
    space = enumerate_space(
        model,
        gpus=task.gpus,
        global_batch=task.global_batch,
        fixed=task.fixed,
        selective=not software.fused_attention or float(software.selective) > 0,
    )
    return Question(model=model, machine=machine, stack=software, space=space)


def _sensitivity(found: Found, question: Question, *, again: bool) -> dict[str, Any]:
    """Return what the time of the best strategy hangs on, and what more would buy."""
    best = found.layout.take(np.asarray([0]))
    hangs = {name: float(value[0]) for name, value in elasticities(question, best).items()}
    step_s = float(found.step.step_s[0])
    answers = []
    for name in _DOUBLED if again else ():
        other = what_if(question, best, name)
        answers.append(
            {
                "changed": name,
                "factor": other.factor,
                "step_time_s": other.step_s,
                "saved_fraction": 1.0 - other.step_s / step_s,
                "strategy": strategies.name_of(strategies.choices(other.layout, 0)),
            }
        )
        if name == "memory_bytes":
            # More memory helps by another strategy alone: the mean over the doubling.
            hangs[name] = float(np.log(other.step_s / step_s) / np.log(other.factor))
    binds = max(INPUTS, key=lambda name: abs(hangs[name]))
    return {"elasticity": hangs, "binds": binds, "what_if": answers}


def _why_none(found: Found, question: Question, task: _Task) -> str:
    """Return why nothing was found, and what would mend it."""
    if question.space.num_points == 0:
        return _why_empty(question.space, task)
    lean = strategies.name_of(strategies.choices(found.leanest, 0))
    held = task.case.accelerator.memory_bytes
    return (
        f"memory is short by {show(found.leanest_bytes - held, Bytes)} on each accelerator: the "
        f"leanest strategy ({lean}) needs {show(found.leanest_bytes, Bytes)} of "
        f"{show(held, Bytes)}; take more accelerators, a larger memory, shorter sequences or a "
        "smaller model"
    )


def _why_empty(space: Space, task: _Task) -> str:
    told = {
        "heads": "tp does not divide heads or the MLP's width",
        "layers": "more stages than layers",
        "sequence": "cp does not divide the sequence into pairs of chunks",
        "batch": "dp does not divide the global batch",
        "fixed": "nothing legal has the fixed choices",
    }
    counts = [f"{number} because {told[rule]}" for rule, number in sorted(space.rejected.items())]
    why = "; ".join(counts) or "none has the fixed choices"
    return (
        f"no legal strategy for {task.gpus:,} accelerators and a global batch of "
        f"{task.global_batch:,}: of the splits into tp·pp·dp·cp, {why}; take counts with more "
        "common divisors, or fix less"
    )
