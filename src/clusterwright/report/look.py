"""The colours of pages and pictures, as tokens for light and dark; style sheets name only these.

Categorical colours are those of Okabe and Ito ("Color Universal Design", 2008), in the dark theme
on the same hues. What a colour stands for is settled here, so that a thing keeps it everywhere.
"""

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "page": "#ffffff",
    "panel": "#f5f7f9",
    "ink": "#1b2129",
    "muted": "#525d6b",
    "line": "#d5dbe3",
    "accent": "#0b5cad",
    "good": "#00664a",
    "bad": "#a83a00",
    "blue": "#0072b2",
    "orange": "#e69f00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "sky": "#56b4e9",
    "yellow": "#f0e442",
    "red": "#d55e00",
    "grey": "#8b96a3",
    "edge": "#1b2129",
}
"""Tokens of the light theme, and of print."""

DARK: Mapping[str, str] = {
    "page": "#11151a",
    "panel": "#1a2028",
    "ink": "#e9edf2",
    "muted": "#a9b4c1",
    "line": "#36414e",
    "accent": "#74b7f5",
    "good": "#4fd1a5",
    "bad": "#ff9a66",
    "blue": "#3a9bdc",
    "orange": "#e69f00",
    "green": "#18b88b",
    "purple": "#d98fb8",
    "sky": "#7cc8f2",
    "yellow": "#f0e442",
    "red": "#ee7a2e",
    "grey": "#8f9baa",
    "edge": "#e9edf2",
}
"""Tokens of the dark theme: the same names."""

TEXT_ON_SURFACE = tuple(
    (text, surface)
    for text in ("ink", "muted", "accent", "good", "bad")
    for surface in ("page", "panel")
)
"""Pairs of tokens that stand on each other as text on ground; each needs a contrast of 4.5."""

KIND_COLOURS: Mapping[str, str] = {
    "compute": "blue",
    "training": "blue",
    "development": "sky",
    "serving": "green",
    "processing": "yellow",
    "network": "orange",
    "fabric": "orange",
    "storage": "green",
    "lake": "green",
    "hot": "green",
    "block": "green",
    "local": "green",
    "management": "purple",
    "service": "yellow",
    "rack": "grey",
    "facility": "grey",
    "cooling and losses": "grey",
    "services": "grey",
    "energy": "red",
    "staff": "yellow",
    "maintenance": "sky",
    "licences": "purple",
    "space": "grey",
    "matrix products": "blue",
    "attention": "sky",
    "memory traffic": "green",
    "optimiser": "yellow",
    "recomputation": "purple",
    "launches": "grey",
    "messages": "orange",
    "bubble": "red",
}
"""Colour of each kind of thing; what is not listed is grey."""

# Matplotlib's viridis at nine even steps (van der Walt and Smith, 2015; CC0): perceptually even.
SEQUENCE = (
    "#440154",
    "#472d7b",
    "#3b528b",
    "#2c728e",
    "#21918c",
    "#28ae80",
    "#5ec962",
    "#addc30",
    "#fde725",
)
"""Colours from little to much."""


def colour_of(kind: str) -> str:
    """Return the token of a kind of thing.

    Examples
    --------
    >>> colour_of("hot tier")
    'green'
    """
    if kind in KIND_COLOURS:
        return KIND_COLOURS[kind]
    for word in kind.replace(":", " ").replace("-", " ").split():
        if word in KIND_COLOURS:
            return KIND_COLOURS[word]
    return "grey"


def in_sequence(share: float) -> str:
    """Return the sequential colour of a share from 0 to 1."""
    place = round(min(max(share, 0.0), 1.0) * (len(SEQUENCE) - 1))
    return SEQUENCE[place]


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours such as `#1b2129`, from 1 to 21.

    Source
    ------
    WCAG 2.2, definition of contrast ratio.
    """
    one, other = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (one + 0.05) / (other + 0.05)


def text_on(colour: str) -> str:
    """Return black or white, whichever reads better on a colour."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, colour))


def css() -> str:
    """Return the tokens as style sheet: light, dark, and light again for print."""
    return (
        f":root{{color-scheme:light dark;{_variables(LIGHT)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}\n"
        f"@media print{{:root{{{_variables(LIGHT)}}}}}\n" + "".join(_fills())
    )


def _variables(tokens: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in tokens.items())


def _fills() -> list[str]:
    names = ("blue", "orange", "green", "purple", "sky", "yellow", "red", "grey")
    return [f".{name}{{fill:var(--{name})}}" for name in names]


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
