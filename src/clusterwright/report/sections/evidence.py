"""What the figures rest on: assumptions, deviations from the source, derivations, digests."""

from clusterwright.report.blocks import Cell, Fact, Facts, Section, Table
from clusterwright.report.context import Context


def assumptions(context: Context) -> Section | None:
    """Return the values in force; None when there is none."""
    words, rows = context.words, context.design.spec.assumptions
    if not rows:
        return None
    stated = sum(one.stated for one in rows)
    return Section(
        name="assumptions",
        title=words("assumptions.title"),
        lead=words("assumptions.lead", stated=stated, assumed=len(rows) - stated),
        blocks=(
            Table(
                name="assumptions-table",
                caption=words("assumptions.caption"),
                columns=context.columns(
                    "assumptions.path",
                    "assumptions.value",
                    "assumptions.mark",
                    "assumptions.reason",
                    "assumptions.source",
                ),
                rows=tuple(
                    (
                        Cell(text=one.path, code=True),
                        Cell(text=one.value, strong=True),
                        Cell(
                            text=words("assumptions.stated" if one.stated else "assumptions.open")
                        ),
                        Cell(text=context.say(one.reason)),
                        Cell(text=context.say(one.source)),
                    )
                    for one in sorted(rows, key=lambda one: one.stated)
                ),
            ),
        ),
    )


def deviations(context: Context) -> Section | None:
    """Return the claims of the source against design and publications; None without any."""
    words, rows = context.words, context.design.spec.deviations
    if not rows:
        return None
    differ = sum(not one.agrees for one in rows)
    return Section(
        name="deviations",
        title=words("deviations.title"),
        lead=words("deviations.lead", count=len(rows), differ=differ),
        blocks=(
            Table(
                name="deviations-table",
                caption=words("deviations.caption"),
                columns=context.columns(
                    "deviations.what",
                    "deviations.says",
                    "deviations.published",
                    "deviations.design",
                    "deviations.agrees",
                    "deviations.source",
                ),
                rows=tuple(
                    (
                        Cell(text=one.what),
                        Cell(text=one.source_says),
                        Cell(text=one.published or words("number.none")),
                        Cell(text=one.design or words("number.none")),
                        Cell(
                            text=words("deviations.yes" if one.agrees else "deviations.no"),
                            status="good" if one.agrees else "bad",
                        ),
                        Cell(text=one.source),
                    )
                    for one in rows
                ),
            ),
        ),
    )


def derivations(context: Context) -> Section | None:
    """Return how the figures came about, numbered; None when nothing was recorded."""
    words, rows = context.words, context.design.spec.derivations
    if not rows:
        return None
    return Section(
        name="derivations",
        title=words("derivations.title"),
        lead=words("derivations.lead"),
        blocks=(
            Table(
                name="derivations-table",
                caption=words("derivations.caption"),
                columns=context.columns(
                    "derivations.number",
                    "derivations.path",
                    "derivations.formula",
                    "derivations.source",
                ),
                rows=tuple(
                    (
                        Cell(text=str(number)),
                        Cell(text=one.path, code=True),
                        Cell(text=context.say(one.formula)),
                        Cell(text=context.say(one.source)),
                    )
                    for number, one in enumerate(rows, start=1)
                ),
                targets=tuple(f"d{number}" for number in range(1, len(rows) + 1)),
            ),
        ),
    )


def provenance(context: Context) -> Section:
    """Return from what the design was drawn."""
    words, spec = context.words, context.design.spec
    return Section(
        name="provenance",
        title=words("provenance.title"),
        lead=words("provenance.lead"),
        blocks=(
            Facts(
                items=(
                    _digest(context, "provenance.demand", spec.demand_digest),
                    _digest(context, "provenance.catalog", spec.catalog_digest),
                )
            ),
        ),
    )


def _digest(context: Context, key: str, digest: str) -> Fact:
    return Fact(name=context.words(key), value=Cell(text=digest, code=True))
