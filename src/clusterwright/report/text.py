"""The summary: a design, and a run of it, in lines of text that a director reads."""

import re
import textwrap
import unicodedata

from clusterwright import units
from clusterwright.model.design import Design
from clusterwright.model.run import Run
from clusterwright.report.context import Context, context
from clusterwright.report.language import check_language
from clusterwright.report.numbers import NO_BREAK
from clusterwright.report.sections.answer import answer, headroom
from clusterwright.report.sections.twin import waited

_WIDTH = 100
_MOST_LISTED = 3
_MOST_NAME = 26  # cells
_MOST_LINES = 25
_CHINESE = "\u3000-\u9fff\uff00-\uffef"
_PIECE = re.compile(rf"[{_CHINESE}]|\s|[^\s{_CHINESE}]+")
_KEPT = "\u2007"  # a space that textwrap does not break at


def summary(design: Design, run: Run | None = None, *, lang: str = "en") -> str:
    """Return the answer as at most 25 lines of plain text.

    Parameters
    ----------
    design
        The design.
    run
        A run of the twin on this design, if there is one.
    lang
        `en` or `zh`.
    """
    materials = context(design, run, check_language(lang))
    first = answer(materials)
    lines = [f"{first.verdict} · {first.over}", *_folded(first.sentence, _WIDTH), ""]
    rows = [(_cut(name), value) for name, value in _rows(materials)]
    broken = _conflicts(materials)
    body = _columns(rows, folded=True)
    if len(lines) + len(body) + len(broken) > _MOST_LINES:
        body = _columns(rows, folded=False)
    return "\n".join([*lines, *body, *broken]).replace(NO_BREAK, " ") + "\n"


def _columns(rows: list[tuple[str, str]], *, folded: bool) -> list[str]:
    wide = max(_cells(name) for name, _ in rows)
    lines = []
    for name, value in rows:
        first, *others = _folded(value, _WIDTH - wide - 4) if folded else [value]
        lines.append(f"  {name}{' ' * (wide - _cells(name))}  {first}")
        lines += [" " * (wide + 4) + row for row in others]
    return lines


def _cut(name: str) -> str:
    kept = name
    while _cells(kept) > _MOST_NAME:
        kept = kept[:-1]
    return name if kept == name else kept[:-1] + "…"


def _rows(context: Context) -> list[tuple[str, str]]:
    words, show, spec = context.words, context.show, context.design.spec
    money, facility = spec.economics, spec.facility
    planes = spec.fabric.planes
    rows = [
        (
            words.term(pool.role) if pool.role == pool.name else pool.name,
            words(
                "summary.pool" if pool.accelerator else "summary.pool.cpu",
                servers=f"{pool.num_servers:,}",
                server=pool.server,
                count=f"{pool.num_accelerators:,}",
                accelerator=pool.accelerator,
            ),
        )
        for pool in spec.compute.pools[:_MOST_LISTED]
    ]
    if len(spec.compute.pools) > _MOST_LISTED:
        rows.append(("", words("summary.more.pools", count=len(spec.compute.pools) - _MOST_LISTED)))
    rows += [
        (
            words("fabric.title"),
            words(
                "summary.fabric" if planes.compute.num_leaf else "summary.fabric.none",
                leaf=planes.compute.num_leaf,
                spine=planes.compute.num_spine,
                core=f" + {planes.compute.num_core:,}" if planes.compute.num_core else "",
                switch=planes.compute.switch or words("number.none"),
                ethernet=planes.storage.num_switches,
                management=planes.management.num_switches,
            ),
        ),
        (
            words("storage.title"),
            words.listed(
                [
                    words(
                        "summary.tier",
                        size=show(tier.usable_bytes, units.Bytes),
                        tier=words.term(tier.name),
                    )
                    for tier in spec.storage.tiers
                    if tier.num_racks or tier.name != "local"
                ]
            ),
        ),
        (
            words("facility.title"),
            words(
                "summary.facility",
                racks=words.many("answer.racks", facility.num_racks),
                power=show(facility.facility_power_w, units.Watts),
                pue=show.factor(facility.pue_ratio),
                energy=show(facility.energy_j_per_year, units.JoulesPerYear),
                carbon=show(facility.carbon_g_per_year, units.GramsPerYear),
            ),
        ),
        (
            words("economics.title"),
            words(
                "summary.money",
                capex=show(money.capex_usd, units.Usd),
                range=show.between(money.capex_low_usd, money.capex_high_usd, units.Usd),
                tco=show(money.tco_usd, units.Usd),
                years=show(money.depreciation_s, units.Seconds),
            ),
        ),
        *_binding(context),
        *_twin(context),
    ]
    return rows


def _binding(context: Context) -> list[tuple[str, str]]:
    words, ledger = context.words, context.design.spec.bottlenecks
    if not ledger:
        return []
    named = [
        f"{context.say(one.stage)} ({headroom(context, one.headroom_fraction)})"
        for one in ledger[:_MOST_LISTED]
    ]
    return [(words("answer.card.bind"), words("summary.then").join(named))]


def _twin(context: Context) -> list[tuple[str, str]]:
    words, show, run = context.words, context.show, context.run
    if run is None:
        return []
    text = words(
        "summary.run",
        span=show(run.spec.span_s, units.Seconds),
        jobs=f"{run.status.num_jobs:,}",
        share=show(run.status.gpu_allocation_fraction, units.Fraction),
        waited=waited(context, run.status.p95_wait_s),
    )
    return [(words("twin.title"), text)]


def _conflicts(context: Context) -> list[str]:
    words, status = context.words, context.design.status
    lines = [
        "  ✕ " + words("summary.conflict", limit=one.limit, asked=one.asked, reached=one.reached)
        for one in status.conflicts[:_MOST_LISTED]
    ]
    lines += [
        "  → "
        + words("summary.way", path=way.path, change=way.change, effect=context.say(way.effect))
        for way in status.relaxations[:_MOST_LISTED]
    ]
    return ["", *lines] if lines else []


def _folded(text: str, width: int) -> list[str]:
    """Return a text in rows of so many cells, broken at spaces and between Chinese letters."""
    text = text.replace(NO_BREAK, _KEPT)
    if _cells(text) == len(text):
        rows = textwrap.wrap(text, width)
    else:
        rows = [""]
        for piece in _PIECE.findall(text):
            if _cells(rows[-1] + piece) > width:
                rows.append("")
            rows[-1] += piece
    return [row.replace(_KEPT, " ").strip() for row in rows] or [""]


def _cells(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1 for letter in text)
