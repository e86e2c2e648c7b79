"""What a section of the report is made of, before any HTML: facts, tables, pictures, sentences."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from clusterwright.report.svg import Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of a table, or the value of a fact."""

    text: str
    """What it says."""
    below: str = ""
    """A second, smaller line."""
    estimated: bool = False
    """True when the figure is an estimate; it then carries the mark."""
    note: int | None = None
    """Number of the derivation that explains it."""
    status: str = ""
    """`good`, `bad` or nothing; the text must say it too."""
    strong: bool = False
    """True to stress it."""
    code: bool = False
    """True for a path or a digest, which may break at its dots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    title: str
    """Quantity and unit."""
    numeric: bool = False
    """True to set figures flush right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a caption."""

    name: str
    """Identifier on the page."""
    caption: str
    """What the table holds."""
    columns: tuple[Column, ...]
    """Columns, the first one being the head of the row."""
    rows: tuple[tuple[Cell, ...], ...]
    """Rows, each as long as the columns."""
    total: tuple[Cell, ...] = ()
    """The row that sums; empty when nothing is summed."""
    source: str = ""
    """Where the facts come from."""
    folded: bool = False
    """True to fold it behind its caption."""
    targets: tuple[str, ...] = ()
    """Identifier of each row, for links to it; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A figure with its name."""

    name: str
    """What it is."""
    value: Cell
    """Its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A handful of figures side by side."""

    items: tuple[Fact, ...]
    """The figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """A sentence or two."""

    text: str
    """The text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawing in two widths, with its finding as title and its method as caption."""

    name: str
    """Identifier on the page."""
    title: str
    """The finding."""
    caption: str
    """Quantity, unit and method."""
    wide: Markup
    """For laptops and paper."""
    narrow: Markup
    """For phones."""


Block = Table | Facts | Prose | Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the page."""

    name: str
    """Identifier on the page, and the anchor of links."""
    title: str
    """Heading."""
    lead: str
    """What it says, in a sentence."""
    blocks: tuple[Block, ...]
    """Its contents."""


WIDE = 860.0  # px; the text column of a laptop
NARROW = 342.0  # px; a phone of 390 px without its margins


def picture(
    name: str, title: str, caption: str, description: str, draw: Callable[[str, float], Drawing]
) -> Picture:
    """Return a picture drawn in both widths.

    Parameters
    ----------
    name
        Identifier on the page.
    title
        The finding.
    caption
        Quantity, unit and method.
    description
        What there is to see, for those who do not see it.
    draw
        Draws it under a name at a width.
    """
    wide, narrow = draw(f"{name}-wide", WIDE), draw(f"{name}-narrow", NARROW)
    return Picture(
        name=name,
        title=title,
        caption=caption,
        wide=wide.render(title=title, description=description),
        narrow=narrow.render(title=title, description=description),
    )
