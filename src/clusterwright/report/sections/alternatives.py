"""Which design, and why not the others: candidates in cost, time and carbon, and decisions."""

from clusterwright import units
from clusterwright.model.design import Alternative
from clusterwright.report import blocks
from clusterwright.report.blocks import Block, Cell, Picture, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.figures import scatter
from clusterwright.report.numbers import scale

_MOST_LISTED = 60
_MOST_DRAWN = 40  # more would lie over each other
_COST_REACH = 4.0  # times the cost of the first; what lies further off would flatten the picture
_TIME_REACH = 10.0
_LOSERS_FOLDED_FROM = 6


def section(context: Context) -> Section | None:
    """Return the section; None when nothing was weighed."""
    words, spec = context.words, context.design.spec
    alternatives = spec.alternatives
    parts: list[Block] = []
    if len(alternatives) > 1:
        parts += [_picture(context), _table(context)]
    if spec.choices:
        parts.append(_choices(context))
        parts += _rejected(context)
    if not parts:
        return None
    met = sum(one.feasible for one in alternatives)
    return Section(
        name="alternatives",
        title=words("alternatives.title"),
        lead=words.many("alternatives.lead", met, total=f"{len(alternatives):,}")
        if alternatives
        else words("alternatives.nothing"),
        blocks=tuple(parts),
    )


def _picture(context: Context) -> Picture:
    words, show = context.words, context.show
    listed = context.design.spec.alternatives[:_MOST_LISTED]
    timed = any(one.duration_s > 0 for one in listed)
    near = [(place, one) for place, one in enumerate(listed, start=1) if _near(one, listed[0])]
    num_near = len(near)
    if num_near > _MOST_DRAWN:
        near = _better(near)
    names = _names([one for _, one in near])
    points = [
        scatter.Point(
            number=str(place),
            name=name,
            x=one.duration_s if timed else one.carbon_g_per_year,
            y=one.tco_usd,
            colour_value=one.carbon_g_per_year,
            feasible=one.feasible,
            unbeaten=one.pareto,
            taken=place == 1,
            text=f"{show(one.tco_usd, units.Usd)}, "
            + (f"{show(one.duration_s, units.Seconds)}, " if timed else "")
            + show(one.carbon_g_per_year, units.GramsPerYear),
        )
        for (place, one), name in zip(near, names, strict=True)
    ]
    carbon = [one.carbon_g_per_year for _, one in near]
    caption = words("alternatives.caption")
    if len(near) < num_near:
        caption += words("alternatives.better")
    away = len(context.design.spec.alternatives) - num_near
    if away:
        caption += words.many("alternatives.away", away)
    day_s = scale(units.Seconds, "d")
    time_axis = scatter.Axis(
        title=words("alternatives.axis.time"),
        show=lambda value: f"{show.factor(value / day_s)} {words.term('d')}",
        unit=day_s,
    )
    carbon_axis = scatter.Axis(
        title=words("alternatives.axis.carbon"),
        show=lambda value: show(value, units.GramsPerYear),
        unit=1.0,
    )
    return blocks.picture(
        "pareto",
        _finding(context),
        caption,
        "; ".join(f"{one.number} {one.name}: {one.text}" for one in points),
        lambda name, width: scatter.draw(
            name,
            width,
            points,
            x_axis=time_axis if timed else carbon_axis,
            y_axis=scatter.Axis(
                title=words("alternatives.axis.cost"),
                show=lambda value: show(value, units.Usd),
                unit=1.0,
            ),
            legend=(
                words("alternatives.met"),
                words("alternatives.unmet"),
                words("alternatives.unbeaten"),
                words("alternatives.taken"),
            ),
            colours=(
                words("alternatives.colour"),
                show(min(carbon), units.GramsPerYear),
                show(max(carbon), units.GramsPerYear),
            ),
        ),
    )


def _near(one: Alternative, first: Alternative) -> bool:
    if one.tco_usd <= 0 or one.carbon_g_per_year <= 0:
        return False
    near = first.tco_usd / _COST_REACH <= one.tco_usd <= first.tco_usd * _COST_REACH
    if first.duration_s > 0:
        return (
            near
            and one.duration_s > 0
            and first.duration_s / _TIME_REACH <= one.duration_s <= first.duration_s * _TIME_REACH
        )
    return near


def _better(near: list[tuple[int, Alternative]]) -> list[tuple[int, Alternative]]:
    """Return the first candidate of each accelerator and size, and all that meet the demand."""
    seen: set[tuple[str, int]] = set()
    kept = []
    for place, one in near:
        key = (one.accelerator, one.num_accelerators)
        if one.feasible or key not in seen:
            kept.append((place, one))
        seen.add(key)
    return kept


def _names(alternatives: list[Alternative]) -> list[str]:
    """Return the accelerator of each, or its name where several share the accelerator."""
    accelerators = [one.accelerator for one in alternatives]
    return [
        one.accelerator
        if one.accelerator and accelerators.count(one.accelerator) == 1
        else one.name
        for one in alternatives
    ]


def _finding(context: Context) -> str:
    words, show = context.words, context.show
    first, *others = context.design.spec.alternatives
    met = [one for one in others if one.feasible]
    if not first.feasible:
        return words("alternatives.figure.none")
    if not met:
        return words("alternatives.figure.only", name=first.name)
    second = min(met, key=lambda one: one.tco_usd)
    if second.tco_usd >= first.tco_usd:
        return words(
            "alternatives.figure.cheapest",
            name=first.name,
            second=second.name,
            more=show(second.tco_usd / first.tco_usd - 1, units.Fraction, digits=2),
        )
    return words("alternatives.figure.taken", name=first.name, second=second.name)


def _table(context: Context) -> Table:
    words, show = context.words, context.show
    alternatives = context.design.spec.alternatives
    listed = alternatives[:_MOST_LISTED]
    caption = words("alternatives.table")
    if len(alternatives) > len(listed):
        caption = words("alternatives.table.cut", count=len(listed), total=len(alternatives))
    return Table(
        name="candidates",
        caption=caption,
        columns=context.columns(
            "alternatives.candidate",
            "#alternatives.accelerators",
            "alternatives.demand",
            "#alternatives.time",
            "#alternatives.capex",
            "#alternatives.tco",
            "#alternatives.carbon",
            "alternatives.reason",
        ),
        rows=tuple(
            (
                Cell(
                    text=f"{place} {one.name}",
                    strong=place == 1,
                    below=words("alternatives.unbeaten.short") if one.pareto else "",
                ),
                Cell(text=show.count(one.num_accelerators)),
                Cell(
                    text=words("word.yes" if one.feasible else "word.no"),
                    status="good" if one.feasible else "bad",
                ),
                Cell(
                    text=show(one.duration_s, units.Seconds)
                    if one.duration_s
                    else words("number.none")
                ),
                Cell(text=show(one.capex_usd, units.Usd), estimated=one.estimated),
                Cell(text=show(one.tco_usd, units.Usd), estimated=one.estimated),
                Cell(text=show.exact(one.carbon_g_per_year, units.GramsPerYear, "t/year")),
                Cell(text=context.say(one.reason)),
            )
            for place, one in enumerate(listed, start=1)
        ),
        folded=len(listed) > _LOSERS_FOLDED_FROM * 2,
    )


def _choices(context: Context) -> Table:
    words = context.words
    return Table(
        name="choices",
        caption=words("choices.caption"),
        columns=context.columns("choices.what", "choices.chosen", "choices.reason"),
        rows=tuple(
            (
                Cell(text=context.say(one.what)),
                Cell(text=context.say(one.chosen), strong=True),
                Cell(text=context.say(one.reason)),
            )
            for one in context.design.spec.choices
        ),
    )


def _rejected(context: Context) -> list[Table]:
    words = context.words
    weighed = {one.accelerator for one in context.design.spec.alternatives}
    return [
        Table(
            name=f"rejected-{place}",
            caption=words.many("choices.rejected", len(one.rejected), what=context.say(one.what)),
            columns=context.columns("choices.candidate", "choices.lost"),
            rows=tuple(
                (Cell(text=loser.candidate), Cell(text=context.say(loser.reason)))
                for loser in one.rejected
            ),
            folded=True,
        )
        for place, one in enumerate(context.design.spec.choices, start=1)
        if any(loser.candidate not in weighed for loser in one.rejected)
    ]
