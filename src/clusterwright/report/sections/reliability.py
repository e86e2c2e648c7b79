"""How often the largest gang is interrupted, by what, and what is left of its time."""

import math

from clusterwright import units
from clusterwright.report import blocks
from clusterwright.report.blocks import Block, Facts, Picture, Prose, Section
from clusterwright.report.context import Context
from clusterwright.report.figures import bars

_MOST_CAUSES = 9


def section(context: Context) -> Section | None:
    """Return the section; None when nothing trains."""
    words, show, one = context.words, context.show, context.design.spec.reliability
    if one is None:
        return None
    path = "spec.reliability."
    facts = Facts(
        items=(
            context.fact(
                "reliability.goodput",
                show(one.goodput_fraction, units.Fraction),
                path=f"{path}goodput_fraction",
            ),
            context.fact("reliability.perday", show.factor(one.interruptions_per_day)),
            context.fact("reliability.between", show(one.mean_time_between_s, units.Seconds)),
            context.fact("reliability.interval", show(one.checkpoint_interval_s, units.Seconds)),
            context.fact("reliability.stall", show(one.checkpoint_write_s, units.Seconds)),
            context.fact("reliability.restart", show(one.detect_and_restart_s, units.Seconds)),
        )
    )
    parts: list[Block] = [facts]
    source = words("reliability.source", source=one.source)
    parts.append(_picture(context, source) if one.shares else Prose(text=source))
    return Section(
        name="reliability",
        title=words("reliability.title"),
        lead=words(
            "reliability.lead",
            count=f"{one.num_accelerators:,}",
            between=show(one.mean_time_between_s, units.Seconds),
            goodput=show(one.goodput_fraction, units.Fraction),
        ),
        blocks=tuple(parts),
    )


def _picture(context: Context, source: str) -> Picture:
    words, show = context.words, context.show
    shares = context.design.spec.reliability.shares if context.design.spec.reliability else ()
    ordered = sorted(shares, key=lambda one: -one.interruptions_per_day)
    rows = [
        bars.Bar(
            name=words.term(one.component),
            value=one.interruptions_per_day,
            text=show.factor(one.interruptions_per_day),
        )
        for one in ordered[:_MOST_CAUSES]
    ]
    rest = ordered[_MOST_CAUSES:]
    if rest:
        value = math.fsum(one.interruptions_per_day for one in rest)
        rows.append(
            bars.Bar(
                name=words("flow.others").format(count=len(rest)),
                value=value,
                text=show.factor(value),
                colour="grey",
            )
        )
    whole = math.fsum(one.interruptions_per_day for one in shares)
    share = ordered[0].interruptions_per_day / whole if whole else 0.0
    return blocks.picture(
        "interruptions",
        words.opening(
            "reliability.figure",
            name=words.term(ordered[0].component),
            share=show(share, units.Fraction, digits=2),
        ),
        words("reliability.caption") + words("list.space") + source,
        "; ".join(f"{one.name} {one.text}" for one in rows),
        lambda name, width: bars.draw(
            name, width, rows, axis=words("reliability.axis"), show=show.factor
        ),
    )
