"""What building and owning cost, where the money goes, how sure the prices are, build or rent."""

from clusterwright import units
from clusterwright.model.economics import BomLine
from clusterwright.report import blocks
from clusterwright.report.blocks import Block, Cell, Facts, Picture, Prose, Section, Table
from clusterwright.report.context import Context
from clusterwright.report.figures import bars, sankey
from clusterwright.report.look import colour_of
from clusterwright.report.sections.facility import others
from clusterwright.units import SECONDS_PER_YEAR

_MOST_DRIVERS = 8


def section(context: Context) -> Section:
    """Return the section."""
    words, show, money = context.words, context.show, context.design.spec.economics
    path = "spec.economics."
    estimated = sum(line.cost_usd for line in money.bom if line.estimated)
    guessed = estimated / money.capex_usd if money.capex_usd else 0.0
    items = [
        context.fact("economics.capex", show(money.capex_usd, units.Usd), path=f"{path}capex_usd"),
        context.fact(
            "economics.range",
            show.between(money.capex_low_usd, money.capex_high_usd, units.Usd),
        ),
        context.fact(
            "economics.opex",
            show(money.opex_usd_per_year, units.UsdPerYear),
            path=f"{path}opex_usd_per_year",
        ),
        context.fact("economics.tco", show(money.tco_usd, units.Usd), path=f"{path}tco_usd"),
    ]
    if money.usd_per_accelerator_hour > 0:
        items.append(
            context.fact(
                "economics.hour",
                show(money.usd_per_accelerator_hour, units.UsdPerAcceleratorHour),
                path=f"{path}usd_per_accelerator_hour",
            )
        )
    items.append(context.fact("economics.used", show(money.utilization_fraction, units.Fraction)))
    parts: list[Block] = [Facts(items=tuple(items))]
    if money.tco_usd > 0:
        parts.append(_flow(context))
    parts += [_bom(context), _running(context)]
    if any(line.high_usd > line.low_usd for line in money.bom):
        parts.append(_drivers(context))
    if money.rent is not None:
        parts += _rent(context)
    return Section(
        name="economics",
        title=words("economics.title"),
        lead=words(
            "economics.lead",
            capex=show(money.capex_usd, units.Usd),
            opex=show(money.opex_usd_per_year, units.UsdPerYear),
            tco=show(money.tco_usd, units.Usd),
            years=show(money.depreciation_s, units.Seconds),
            guessed=show(guessed, units.Fraction, digits=2),
        ),
        blocks=tuple(parts),
    )


def _flow(context: Context) -> Picture:
    words, show, money = context.words, context.show, context.design.spec.economics
    categories: dict[str, list[BomLine]] = {}
    for line in money.bom:
        categories.setdefault(line.category, []).append(line)

    def flow(name: str, colour: str, value: float, parts: tuple[sankey.Flow, ...]) -> sankey.Flow:
        return sankey.Flow(
            name=name, value=value, text=show(value, units.Usd), colour=colour, parts=parts
        )

    built = tuple(
        flow(
            words.term(category),
            colour_of(category),
            sum(line.cost_usd for line in lines),
            tuple(
                flow(context.say(line.item), colour_of(category), line.cost_usd, ())
                for line in lines
            )
            if len(lines) > 1
            else (),
        )
        for category, lines in categories.items()
    )
    years = show(money.depreciation_s, units.Seconds)
    running_usd = money.tco_usd - money.capex_usd
    scale = running_usd / money.opex_usd_per_year if money.opex_usd_per_year else 0.0
    running = tuple(
        flow(words.term(line.name), colour_of(line.name), line.cost_usd_per_year * scale, ())
        for line in money.running
        if line.cost_usd_per_year > 0
    )
    parts = [flow(words("economics.building"), "blue", money.capex_usd, built)]
    if running_usd > 0:
        parts.append(flow(words("economics.running.for", years=years), "red", running_usd, running))
    root = flow(words("economics.owning"), "grey", money.tco_usd, tuple(parts))
    biggest = max(built, key=lambda one: one.value, default=root)
    return blocks.picture(
        "money-flow",
        words.opening(
            "economics.figure",
            name=biggest.name,
            share=show(biggest.value / money.tco_usd, units.Fraction, digits=2),
            years=years,
        ),
        words("economics.flow.caption", years=years),
        "; ".join(f"{one.name} {one.text}" for one in (*built, *running)),
        lambda name, width: sankey.draw(name, width, root, others(context)),
    )


def _bom(context: Context) -> Table:
    words, show, money = context.words, context.show, context.design.spec.economics
    columns = [
        show.column(values, units.Usd, "USD")
        for values in (
            [line.low_usd for line in money.bom],
            [line.cost_usd for line in money.bom],
            [line.high_usd for line in money.bom],
        )
    ]
    rows = tuple(
        (
            Cell(text=context.say(line.item), below=words.term(line.category)),
            Cell(text=show.count(line.num_items)),
            Cell(
                text=show.exact(line.unit_price_usd, units.Usd, "USD", _cents(line)),
                estimated=line.estimated,
            ),
            Cell(text=low),
            Cell(text=cost),
            Cell(text=high),
            Cell(text=context.say(line.source)),
        )
        for line, low, cost, high in zip(money.bom, *columns, strict=True)
    )
    return Table(
        name="bom",
        caption=words("economics.bom"),
        columns=context.columns(
            "economics.item",
            "#economics.count",
            "#economics.price",
            "#economics.low",
            "#economics.cost",
            "#economics.high",
            "economics.source",
        ),
        rows=rows,
        total=(
            Cell(text=words("table.sum")),
            Cell(text=""),
            Cell(text=""),
            Cell(text=show.exact(money.capex_low_usd, units.Usd, "USD")),
            Cell(text=show.exact(money.capex_usd, units.Usd, "USD")),
            Cell(text=show.exact(money.capex_high_usd, units.Usd, "USD")),
            Cell(text=""),
        ),
    )


def _cents(line: BomLine) -> int:
    return 0 if line.unit_price_usd == round(line.unit_price_usd) else 2


def _running(context: Context) -> Table:
    words, show, money = context.words, context.show, context.design.spec.economics
    cost = show.column(
        [line.cost_usd_per_year for line in money.running], units.UsdPerYear, "USD/year"
    )
    return Table(
        name="running",
        caption=words("economics.running"),
        columns=context.columns("economics.kind", "#economics.year", "economics.source"),
        rows=tuple(
            (Cell(text=words.term(line.name)), Cell(text=usd), Cell(text=context.say(line.source)))
            for line, usd in zip(money.running, cost, strict=True)
        ),
        total=(
            Cell(text=words("table.sum")),
            Cell(text=show.exact(money.opex_usd_per_year, units.UsdPerYear, "USD/year")),
            Cell(text=""),
        ),
    )


def _drivers(context: Context) -> Picture:
    words, show, money = context.words, context.show, context.design.spec.economics
    lines = sorted(money.bom, key=lambda line: line.low_usd - line.high_usd)
    drivers = [line for line in lines if line.high_usd > line.low_usd][:_MOST_DRIVERS]
    rows = [
        bars.Bar(
            name=context.say(line.item),
            value=line.high_usd - line.cost_usd,
            below=line.cost_usd - line.low_usd,
            text=show.between(line.low_usd, line.high_usd, units.Usd),
            colour=colour_of(line.category),
        )
        for line in drivers
    ]
    first = drivers[0]
    return blocks.picture(
        "drivers",
        words(
            "economics.drivers.figure",
            item=context.say(first.item),
            spread=show(first.high_usd - first.low_usd, units.Usd),
            total=show(money.capex_high_usd - money.capex_low_usd, units.Usd),
        ),
        words("economics.drivers.caption"),
        "; ".join(f"{one.name} {one.text}" for one in rows),
        lambda name, width: bars.draw(
            name,
            width,
            rows,
            axis=words("economics.drivers.axis"),
            show=lambda value: ("+" if value > 0 else "") + show(value, units.Usd),
        ),
    )


def _rent(context: Context) -> list[Block]:
    words, show, money = context.words, context.show, context.design.spec.economics
    rent = money.rent
    if rent is None or not rent.offer:
        return [Prose(text=words("economics.rent.unknown"))]
    years = money.depreciation_s / SECONDS_PER_YEAR
    rows = [
        bars.Bar(
            name=words("economics.build.name"),
            value=rent.build_usd,
            text=show(rent.build_usd, units.Usd),
            colour="blue",
        ),
        bars.Bar(
            name=words("economics.rent.name"),
            value=rent.rent_usd,
            text=show(rent.rent_usd, units.Usd),
            colour="sky",
        ),
    ]
    values = {
        "used": show(money.utilization_fraction, units.Fraction),
        "even": show(rent.break_even_ratio, units.Fraction),
        "price": show(rent.offer_usd_per_accelerator_hour, units.UsdPerAcceleratorHour),
        "offer": rent.offer,
        "years": show.factor(years),
    }
    key = f"economics.{rent.cheaper}.figure"
    if rent.break_even_ratio > 1:
        key = "economics.rent.always"
    return [
        blocks.picture(
            "rent",
            words(key, **values),
            words("economics.rent.caption", **values),
            "; ".join(f"{one.name} {one.text}" for one in rows),
            lambda name, width: bars.draw(
                name,
                width,
                rows,
                axis=words("economics.rent.axis", **values),
                show=lambda value: show(value, units.Usd),
            ),
        )
    ]
