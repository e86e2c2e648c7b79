"""A small writer of SVG: shapes and text that take their colours from the page's tokens.

Only the vocabulary that the figures need. Every text is escaped, numbers are written with at most
one decimal so that the same design gives the same bytes, and each drawing carries a title and a
description for those who do not see it.
"""

import unicodedata

from markupsafe import Markup, escape

TEXT_SIZE = 13  # px, the small size of the page; every text of a drawing has it
LINE_HEIGHT = 17
_WIDE = 1.0  # em, a Chinese character
_NARROW = 0.56  # em, a Latin letter or digit in the usual system fonts, on the wide side


def text_width(text: str) -> float:
    """Return about how many pixels a text takes at the size of drawings."""
    em = sum(
        _WIDE if unicodedata.east_asian_width(letter) in {"W", "F"} else _NARROW for letter in text
    )
    return em * TEXT_SIZE


def shortened(text: str, width: float) -> str:
    """Return a text cut to a width in pixels, with an ellipsis where it was cut."""
    if text_width(text) <= width:
        return text
    kept = text
    while kept and text_width(kept + "…") > width:
        kept = kept[:-1]
    return kept.rstrip() + "…"


class Drawing:
    """A drawing in the making; `render` ends it."""

    def __init__(self, name: str, *, width: float, height: float) -> None:
        """Begin a drawing.

        Parameters
        ----------
        name
            Identifier, unlike any other on the page.
        width, height
            Size of the view box, in pixels at scale 1.
        """
        self.name = name
        self.width = width
        self.height = height
        self._parts: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        look: str,
        radius: float = 0,
        fill: str = "",
        title: str = "",
    ) -> None:
        """Draw a rectangle; `look` names classes of the style sheet."""
        round_ = f' rx="{_n(radius)}"' if radius else ""
        self._add(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" '
            f'height="{_n(max(height, 0))}"{round_}{_look(look, fill)}',
            "rect",
            title,
        )

    def circle(
        self, x: float, y: float, radius: float, *, look: str, fill: str = "", title: str = ""
    ) -> None:
        """Draw a circle."""
        self._add(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"{_look(look, fill)}',
            "circle",
            title,
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, look: str) -> None:
        """Draw a line."""
        self._parts.append(
            f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"{_look(look)}/>'
        )

    def path(self, commands: str, *, look: str, title: str = "") -> None:
        """Draw a path; build `commands` with `move`, `curve` and their like."""
        self._add(f'<path d="{escape(commands)}"{_look(look)}', "path", title)

    def text(self, x: float, y: float, text: str, *, look: str = "", anchor: str = "start") -> None:
        """Write a text; `y` is its base line, `anchor` is start, middle or end."""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}"{place}{_look(look)}>{escape(text)}</text>'
        )

    def render(self, *, title: str, description: str) -> Markup:
        """Return the drawing as SVG text for use within HTML."""
        name = escape(self.name)
        head = (
            f'<svg id="{name}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img" '
            f'aria-labelledby="{name}-t {name}-d">'
            f'<title id="{name}-t">{escape(title)}</title>'
            f'<desc id="{name}-d">{escape(description)}</desc>'
        )
        return Markup(head + "".join(self._parts) + "</svg>")  # noqa: S704 - every text is escaped above

    def _add(self, opening: str, tag: str, title: str) -> None:
        if title:
            self._parts.append(f"{opening}><title>{escape(title)}</title></{tag}>")
        else:
            self._parts.append(f"{opening}/>")


def points(pairs: list[tuple[float, float]], *, closed: bool = False) -> str:
    """Return path commands through points."""
    body = "L".join(f"{_n(x)} {_n(y)}" for x, y in pairs)
    return f"M{body}{'Z' if closed else ''}"


def boxes(found: list[tuple[float, float, float, float]]) -> str:
    """Return path commands of many boxes at once, each `(x, y, width, height)`.

    Edges are rounded rather than widths, so that neighbours leave no hairline between them.
    """
    return "".join(
        f"M{_n(x)} {_n(y)}H{_n(x + width)}V{_n(y + height)}H{_n(x)}z"
        for x, y, width, height in found
    )


def ribbon(left: tuple[float, float, float], right: tuple[float, float, float]) -> str:
    """Return path commands of a band between two edges, each `(x, top, bottom)`."""
    x1, top1, bottom1 = left
    x2, top2, bottom2 = right
    middle = (x1 + x2) / 2
    return (
        f"M{_n(x1)} {_n(top1)}C{_n(middle)} {_n(top1)} {_n(middle)} {_n(top2)} {_n(x2)} {_n(top2)}"
        f"L{_n(x2)} {_n(bottom2)}"
        f"C{_n(middle)} {_n(bottom2)} {_n(middle)} {_n(bottom1)} {_n(x1)} {_n(bottom1)}Z"
    )


def _look(look: str, fill: str = "") -> str:
    text = f' class="{escape(look)}"' if look else ""
    return text + (f' fill="{escape(fill)}"' if fill else "")


def _n(value: float) -> str:
    text = f"{value:.1f}"
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text
