"""The bottleneck ledger: every stage of the data's way, and money, power and time beside it."""

import math

from clusterwright.model.design import Bottleneck
from clusterwright.report import blocks
from clusterwright.report.blocks import Cell, Picture, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.figures import ledger as figure
from clusterwright.report.sections.answer import headroom

_MOST_DRAWN = 24


def section(context: Context) -> Section | None:
    """Return the section; None when the design keeps no ledger."""
    words, ledger = context.words, context.design.spec.bottlenecks
    if not ledger:
        return None
    return Section(
        name="bottlenecks",
        title=words("ledger.title"),
        lead=_lead(context),
        blocks=(_picture(context), _table(context)),
    )


def _lead(context: Context) -> str:
    words, ledger = context.words, context.design.spec.bottlenecks
    first = ledger[0]
    values = {
        "stage": context.say(first.stage),
        "room": headroom(context, first.headroom_fraction),
        "then": words.listed([context.say(one.stage) for one in ledger[1:3]]),
    }
    return words.opening("ledger.lead" if len(ledger) > 1 else "ledger.lead.alone", **values)


def _picture(context: Context) -> Picture:
    words, ledger = context.words, context.design.spec.bottlenecks
    drawn = ledger[:_MOST_DRAWN]
    stages = [_stage(context, one) for one in drawn]
    short = [one for one in ledger if one.headroom_fraction < 0]
    names = {
        "first": context.say(ledger[0].stage),
        "second": context.say(ledger[min(1, len(ledger) - 1)].stage),
    }
    title = words.opening("ledger.figure" if len(ledger) > 1 else "ledger.figure.alone", **names)
    if short:
        title = words.many("ledger.figure.short", len(short), **names)
    caption = words("ledger.caption")
    if len(ledger) > len(drawn):
        caption += words("ledger.cut", count=len(drawn), total=len(ledger))
    return blocks.picture(
        "ledger",
        title,
        caption,
        "; ".join(f"{one.order} {one.name}: {one.figures}" for one in stages),
        lambda name, width: figure.draw(
            name, width, stages, axis=words("ledger.axis"), capacity=words("ledger.capacity")
        ),
    )


def _stage(context: Context, one: Bottleneck) -> figure.Stage:
    words, show = context.words, context.show
    short = one.headroom_fraction < 0
    mark = words("ledger.mark.short") if short else ""
    if one.binds_in_order == 1:
        mark = words("ledger.mark.short" if short else "ledger.mark.binds")
    return figure.Stage(
        order=str(one.binds_in_order),
        name=context.say(one.stage),
        load_ratio=one.demand / one.capacity if one.capacity else math.inf,
        figures=show.of(one.demand, one.capacity, one.unit),
        mark=mark,
        short=short,
    )


def _table(context: Context) -> Table:
    words, show = context.words, context.show
    return Table(
        name="ledger-table",
        caption=words("ledger.table"),
        columns=context.columns(
            "#ledger.order",
            "ledger.stage",
            "#ledger.demand",
            "#ledger.capacity.title",
            "ledger.headroom",
            "ledger.note",
        ),
        rows=tuple(
            (
                Cell(text=str(one.binds_in_order)),
                Cell(text=context.say(one.stage), strong=one.binds_in_order == 1),
                Cell(text=show.in_unit(one.demand, one.unit)),
                Cell(text=show.in_unit(one.capacity, one.unit)),
                Cell(
                    text=headroom(context, one.headroom_fraction),
                    status="bad" if one.headroom_fraction < 0 else "",
                ),
                Cell(text=context.say(one.note)),
            )
            for one in context.design.spec.bottlenecks
        ),
        folded=True,
    )
