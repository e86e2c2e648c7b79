"""Holding the claims of a demand against the design: what agrees, and what differs in the open."""

from clusterwright.model.demand import Claim
from clusterwright.model.design import Design, Deviation
from clusterwright.model.paths import value_at


def judged(claims: tuple[Claim, ...], design: Design) -> tuple[Deviation, ...]:
    """Return every claim with the design's own figure and whether the two agree.

    Raises
    ------
    UnknownName
        If a claim names a path that designs do not have.
    """
    return tuple(_judge(claim, design) for claim in claims)


def _judge(claim: Claim, design: Design) -> Deviation:
    figure = "" if claim.path is None else _as_text(value_at(design, claim.path))
    same = _bare(claim.says) == _bare(figure)
    return Deviation(
        what=claim.what,
        source_says=claim.says,
        published=claim.published or "",
        design=figure,
        agrees=same and (claim.published is None or _bare(claim.says) in _bare(claim.published)),
        source=claim.source,
    )


def _as_text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}"
        case _:
            return str(value)


def _bare(text: str) -> str:
    return text.replace(",", "").strip().casefold()
