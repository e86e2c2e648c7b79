"""Strategies as people and programs read them: items, names, and the page on a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from clusterwright.catalog import Catalog
from clusterwright.compute.columns import Layouts
from clusterwright.compute.errorbars import error_bar_fraction, within
from clusterwright.compute.footprint import Footprint
from clusterwright.compute.rows import model_flop_of_step, tokens_of_step
from clusterwright.compute.search import Found, Question
from clusterwright.compute.steptime import Steps
from clusterwright.economics import typical_offer
from clusterwright.errors import UnknownName
from clusterwright.model.market import StepError
from clusterwright.model.parts import Accelerator
from clusterwright.units import (
    HOURS_PER_YEAR,
    SECONDS_PER_HOUR,
    SECONDS_PER_YEAR,
    Bytes,
    FlopPerSecond,
    Fraction,
    Seconds,
)
from clusterwright.units import format as show

COLUMNS = (
    *("name", "tp", "pp", "dp", "cp", "ep", "interleave", "micro_batch", "zero_stage"),
    *("step_time_s", "mfu_fraction", "memory_bytes", "headroom_bytes"),
)
"""Columns of the table; `wide` and CSV show all."""
_RECOMPUTE = ("none", "selective", "full")
_NAMES = {
    # Outward name, as in the rows of `estimate training` where those have it: column of the layout.
    "tp": "tp",
    "pp": "pp",
    "dp": "dp",
    "cp": "cp",
    "ep": "ep",
    "expert_tp": "expert_tp",
    "interleave": "chunks",
    "micro_batch": "micro_batch",
    "zero_stage": "zero_stage",
    "shard_ranks": "shard",
    "recompute": "recompute",
    "recomputed_fraction": "recomputed",
    "sequence_parallel": "sequence_parallel",
    "zero_bubble": "zero_bubble",
    "gpipe": "gpipe",
    "cp_gather": "cp_gather",
    "offload_fraction": "offload",
    "gradient_width_bytes": "grad_bytes",
}
_WHOLE = frozenset(
    ("tp", "pp", "dp", "cp", "ep", "expert_tp", "interleave", "micro_batch", "zero_stage")
) | {"shard_ranks", "gradient_width_bytes"}
_YES_OR_NO = ("sequence_parallel", "zero_bubble", "gpipe", "cp_gather")
_WORDS = {"none": 0.0, "selective": 1.0, "full": 2.0, "false": 0.0, "no": 0.0, "off": 0.0}
_WORDS |= {"true": 1.0, "yes": 1.0, "on": 1.0}
_PART_TITLES = {
    "gemm_s": "matrix products",
    "attention_s": "attention",
    "stream_s": "norms, activations",
    "recompute_s": "recomputation",
    "launch_s": "launches",
    "tp_s": "tensor messages",
    "cp_s": "context messages",
    "ep_s": "expert messages",
    "pp_s": "stage messages",
    "bubble_s": "pipeline bubble",
    "dp_s": "gradients, weights",
    "update_s": "optimiser",
}
_MILLION = 10**6
_INPUT_TITLES = {
    "flop_per_s": "FLOP/s",
    "memory_bytes_per_s": "memory bandwidth",
    "scaleup_bytes_per_s": "scale-up links",
    "scaleout_bytes_per_s": "scale-out links",
    "latency_s": "latency",
    "memory_bytes": "memory size",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an accelerator costs and draws, and how wrong a time may be."""

    usd_per_accelerator_hour: float
    price_basis: str
    accelerator_power_w: float
    power_basis: str
    error_bar_fraction: float
    error_basis: str


def terms(
    parts: Catalog,
    accelerator: Accelerator,
    error: StepError,
    *,
    own: bool,
    asked: tuple[float, float],
) -> Terms:
    """Return price, power and error bar with what they stand on.

    Parameters
    ----------
    parts, accelerator
        The catalogue, and the accelerator asked about.
    error
        Residuals of the nearest regime.
    own
        Whether that regime is the one asked about.
    asked
        Accelerators and parameters asked about.
    """
    offer = typical_offer(accelerator.name, parts.cloud_offers.values())
    server = parts.server_for(accelerator.name)
    if offer is not None:
        usd = offer.usd_per_accelerator_hour
        basis = f"rent, {offer.provider} {offer.year}: the median offer of that year"
    else:
        life_s = parts.default("money.depreciation", Seconds)
        busy = parts.default("plan.utilization", Fraction)
        hours = life_s / SECONDS_PER_YEAR * HOURS_PER_YEAR * busy
        usd = server.price_usd / server.num_accelerators / hours
        basis = f"no cloud offer known: {server.name} alone, written off over its used hours"
    draw = parts.default("plan.busy_power", Fraction)
    scope = f"residuals of the regime {error.name!r}"
    if not own:
        scope += "; the case asked about lies outside what was checked"
    elif not within(error, *asked):
        scope += "; wider, since the count or size asked about lies outside those checked"
    return Terms(
        usd_per_accelerator_hour=usd,
        price_basis=basis,
        accelerator_power_w=server.max_power_w / server.num_accelerators * draw,
        power_basis=f"share of {server.name} at {draw:.0%} of its maximum, cooling left out",
        error_bar_fraction=error_bar_fraction(error, *asked),
        error_basis=scope,
    )


def fixed(words: Sequence[str], faults: list[str]) -> dict[str, float]:
    """Return fixed choices by column of the layout; what is wrong becomes a fault."""
    found = {}
    for word in words:
        name, sign, text = (part.strip() for part in word.partition("="))
        if name not in _NAMES:
            faults.append(f"--fix {word}: {UnknownName.of('choice', name, _NAMES)}")
            continue
        try:
            value = _WORDS[text.casefold()] if text.casefold() in _WORDS else float(text)
        except ValueError:
            value = -1.0
        if not sign or not 0.0 <= value < float("inf"):
            faults.append(f"--fix {word}: write {name}=VALUE with a number or a word such as full")
            continue
        found[_NAMES[name]] = value
    return found


def choices(layout: Layouts, row: int) -> dict[str, Any]:
    """Return what a strategy chooses under outward names."""
    found: dict[str, Any] = {}
    for name, column in _NAMES.items():
        value = float(getattr(layout, column)[row])
        if name == "recompute":
            found[name] = _RECOMPUTE[int(value)]
        elif name in _YES_OR_NO:
            found[name] = value > 0
        else:
            found[name] = int(value) if name in _WHOLE else value
    found["schedule"] = _schedule(found)
    return found


def name_of(choice: Mapping[str, Any]) -> str:
    """Return a short name that tells the ranks and what differs from the plain way."""
    ranks = [f"{name}{choice[name]}" for name in ("tp", "pp", "dp", "cp", "ep")]
    kept = [one for one in ranks if not one.endswith("p1")] or ["dp1"]
    kept.append(f"mb{choice['micro_batch']}")
    if choice["interleave"] > 1:
        kept.append(f"v{choice['interleave']}")
    if choice["zero_stage"]:
        kept.append(f"zero{choice['zero_stage']}")
    if choice["recompute"] != "none":
        share = choice["recomputed_fraction"]
        kept.append(choice["recompute"] + (f"{share:.0%}" if share < 1 else ""))
    if choice["offload_fraction"]:
        kept.append(f"offload{choice['offload_fraction']:.0%}")
    return "-".join(kept)


def items(found: Found, question: Question, term: Terms, *, gpus: int) -> list[dict[str, Any]]:
    """Return the strategies, best first."""
    listed = []
    layout = found.layout
    tokens = np.broadcast_to(tokens_of_step(question.model, layout), (len(found),))
    flop = np.broadcast_to(model_flop_of_step(question.model, layout), (len(found),))
    for row in range(len(found)):
        step_s = float(found.step.step_s[row])
        held = float(found.memory.total_bytes[row])
        rate = float(tokens[row]) / step_s
        used = float(flop[row]) / step_s / gpus
        choice = choices(layout, row)
        memory = float(question.machine.memory_bytes)
        listed.append(
            {
                "name": name_of(choice),
                "rank": row + 1,
                **choice,
                "num_micro_batches": int(
                    layout.global_batch[row] / layout.dp[row] / layout.micro_batch[row]
                ),
                "step_time_s": step_s,
                "error_bar_fraction": term.error_bar_fraction,
                "mfu_fraction": used / float(question.machine.gemm_flop_per_s),
                "flop_per_s_per_gpu": used,
                "memory_bytes": held,
                "headroom_bytes": memory - held,
                "headroom_fraction": 1.0 - held / memory,
                "tokens_per_s": rate,
                "tokens_per_s_per_gpu": rate / gpus,
                "tokens_per_usd": rate * SECONDS_PER_HOUR / (term.usd_per_accelerator_hour * gpus),
                "tokens_per_j": rate / (term.accelerator_power_w * gpus),
                "time": _parts(found.step, Steps, row),
                "memory": _parts(found.memory, Footprint, row),
            }
        )
    return listed


def flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as one row of plain cells."""
    row: dict[str, Any] = {}
    for key, value in item.items():
        if key == "sensitivity":
            continue
        if isinstance(value, Mapping):
            row.update({f"{key}_{name}": cell for name, cell in value.items()})
        else:
            row[key] = value
    return row


def text(document: Mapping[str, Any]) -> str:
    """Return the page on a terminal, at most 100 columns wide."""
    spec, status, listed = document["spec"], document["status"], document["items"]
    lines = [
        f"{spec['model']} on {spec['gpus']:,} × {spec['accelerator']}, {spec['precision']}, "
        f"{spec['software']}",
        f"global batch {spec['global_batch']:,} × {spec['seq_len']:,} tokens; "
        f"{status['num_points']:,} strategies, {status['num_evaluated']:,} evaluated, "
        f"{status['num_feasible']:,} feasible, {status['wall_s']:.2f} s",
        "",
    ]
    if not listed:
        return "\n".join([*lines, f"No strategy: {status['reason']}."])
    lines += _ranking(listed)
    lines += ["", *_breakdown(listed[0])]
    if "sensitivity" in listed[0]:
        lines += ["", *_hangs(listed[0]["sensitivity"])]
    lines += [
        "",
        f"error bar ±{spec['error_bar_fraction']:.0%}: {spec['error_basis']}",
        f"price {spec['usd_per_accelerator_hour']:.2f} USD/h: {spec['price_basis']}",
        f"power {spec['accelerator_power_w']:,.0f} W each: {spec['power_basis']}",
    ]
    return "\n".join(lines)


def _ranking(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    head = (
        f"{'#':>2} {'tp':>3} {'pp':>3} {'dp':>5} {'cp':>3} {'ep':>3} {'mb':>3} {'schedule':<15}"
        f" {'zero':>6} {'recompute':<9} {'step':>8} {'MFU':>6} {'memory':>7} {'free':>5}"
        f" {'Mtok/$':>7} {'tok/J':>6}"
    )
    rows = []
    for one in listed:
        again = one["recompute"]
        if one["recomputed_fraction"] not in (0.0, 1.0):
            again += f" {one['recomputed_fraction']:.0%}"
        zero = str(one["zero_stage"]) + (f"/{one['shard_ranks']}" if one["zero_stage"] else "")
        rows.append(
            f"{one['rank']:>2} {one['tp']:>3} {one['pp']:>3} {one['dp']:>5} {one['cp']:>3}"
            f" {one['ep']:>3} {one['micro_batch']:>3} {one['schedule']:<15} {zero:>6}"
            f" {again:<9} {show(one['step_time_s'], Seconds):>8} {one['mfu_fraction']:>6.1%}"
            f" {show(one['memory_bytes'], Bytes):>7} {one['headroom_fraction']:>5.0%}"
            f" {one['tokens_per_usd'] / _MILLION:>7.3f} {one['tokens_per_j']:>6.3f}"
        )
    return [head, *rows]


def _breakdown(best: Mapping[str, Any]) -> list[str]:
    """Return where the time and the memory of the best strategy go."""
    step_s = best["step_time_s"]
    lines = [
        f"1st: {best['name']}, sequence parallel "
        f"{'on' if best['sequence_parallel'] else 'off'}, gradients of "
        f"{best['gradient_width_bytes']} bytes, {show(best['flop_per_s_per_gpu'], FlopPerSecond)}",
        f"{'time':<44} memory",
    ]
    times = [
        f"{title:<20} {show(best['time'][name], Seconds):>9} {best['time'][name] / step_s:>6.1%}"
        for name, title in _PART_TITLES.items()
        if best["time"][name] > 0
    ]
    times.append(f"{'(hidden messages':<20} {show(best['time']['hidden_s'], Seconds):>9})")
    held = [
        f"{name.removesuffix('_bytes'):<12} {show(size, Bytes):>8}"
        for name, size in best["memory"].items()
    ]
    held.append(f"{'free':<12} {show(best['headroom_bytes'], Bytes):>8}")
    height = max(len(times), len(held))
    for left, right in zip(
        times + [""] * (height - len(times)), held + [""] * (height - len(held)), strict=True
    ):
        lines.append(f"  {left:<42} {right}".rstrip())
    return lines


def _hangs(sensitivity: Mapping[str, Any]) -> list[str]:
    told = [
        # Rounding first and adding zero leaves no -0.00.
        f"{_INPUT_TITLES[name]} {round(value, 2) + 0.0:+.2f}"
        for name, value in sensitivity["elasticity"].items()
    ]
    lines = [
        f"binds: {_INPUT_TITLES[sensitivity['binds']]}; step time in % for 1 % more of:",
        "  " + ", ".join(told[:3]),
        "  " + ", ".join(told[3:]),
    ]
    lines += [
        f"  {one['factor']:g}× {_INPUT_TITLES[one['changed']]}: "
        f"{show(one['step_time_s'], Seconds)} ({round(-one['saved_fraction'], 3) + 0.0:+.1%}) "
        f"with {one['strategy']}"
        for one in sensitivity["what_if"]
    ]
    return lines


def _schedule(choice: Mapping[str, Any]) -> str:
    if choice["pp"] == 1:
        return "none"
    if choice["zero_bubble"]:
        return "zero-bubble"
    if choice["gpipe"]:
        return "gpipe"
    return f"interleaved-{choice['interleave']}" if choice["interleave"] > 1 else "1f1b"


def _parts(columns: object, kind: type, row: int) -> dict[str, float]:
    """Return the named parts of one row."""
    values = {part.name: np.atleast_1d(getattr(columns, part.name)) for part in fields(kind)}
    return {name: float(cells[row % len(cells)]) for name, cells in values.items()}
