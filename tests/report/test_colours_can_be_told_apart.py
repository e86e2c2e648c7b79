import itertools
import re

import pytest
from tests.report import sample

from clusterwright import report
from clusterwright.report import look

THEMES = {"light": look.LIGHT, "dark": look.DARK}
CATEGORICAL = ("blue", "orange", "green", "purple", "sky", "yellow", "red", "grey")
TEXT = 4.5  # WCAG 2.2 AA for text
EDGE = 3.0  # WCAG 2.2 AA for what a graphic needs to be understood


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "ground"), look.TEXT_ON_SURFACE)
def test_text_has_a_contrast_of_four_and_a_half(theme, text, ground):
    tokens = THEMES[theme]
    assert look.contrast(tokens[text], tokens[ground]) >= TEXT


@pytest.mark.parametrize("theme", THEMES)
def test_every_mark_has_an_edge_that_stands_out(theme):
    tokens = THEMES[theme]
    for ground in ("page", "panel"):
        assert look.contrast(tokens["edge"], tokens[ground]) >= EDGE


@pytest.mark.parametrize("theme", THEMES)
def test_text_over_a_flow_stays_readable(theme):
    tokens = THEMES[theme]
    for name in CATEGORICAL:
        mixed = blended(tokens[name], tokens["page"], 0.42)
        assert look.contrast(tokens["ink"], mixed) >= TEXT, name


def test_numbers_on_sequential_colours_are_readable():
    for colour in look.SEQUENCE:
        assert look.contrast(look.text_on(colour), colour) >= TEXT


def test_the_sequence_grows_lighter_step_by_step():
    light = [look.contrast(colour, "#000000") for colour in look.SEQUENCE]
    assert all(a < b for a, b in itertools.pairwise(light))


def test_both_themes_have_the_same_tokens_and_the_style_uses_no_others():
    assert set(look.LIGHT) == set(look.DARK)
    text = report.html(sample.design())
    style = text[text.index("<style>") : text.index("</style>")]
    used = set(re.findall(r"var\(--([a-z]+)\)", style)) - {"large", "small"}
    assert used <= set(look.LIGHT)


def test_a_status_is_never_colour_alone():
    text = report.html(sample.infeasible(), sample.run())
    for verdict in re.findall(r'class="verdict [a-z]+">([^<]*)<', text):
        assert verdict[0] in "✓✕"


def test_the_contrast_is_that_of_the_standard():
    assert look.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert look.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def blended(colour: str, ground: str, share: float) -> str:
    mixed = [
        round(share * int(colour[i : i + 2], 16) + (1 - share) * int(ground[i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{value:02x}" for value in mixed)
