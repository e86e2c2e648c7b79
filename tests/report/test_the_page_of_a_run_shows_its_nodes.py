import re
from xml.etree import ElementTree

import pytest
from tests.report import sample
from tests.report.pages import Page, month_page
from tests.report.recordings import RUNS, many, month, plain

from clusterwright import report, twin
from clusterwright.report.context import Voice
from clusterwright.report.figures import heat
from clusterwright.report.figures.time_axis import TimeAxis, step_s
from clusterwright.report.language import Words
from clusterwright.report.numbers import Numbers
from clusterwright.report.sections import month as section

VOICE = Voice(words=Words("en"), show=Numbers(Words("en")))
PAGES = [(name, lang) for name in RUNS for lang in ("en", "zh")]


@pytest.mark.parametrize(("name", "lang"), PAGES)
def test_it_is_sound_small_and_loads_nothing(name, lang):
    text = month_page(name, lang)
    found = Page(text)
    assert found.faults == []
    assert len(found.ids) == len(set(found.ids))
    assert found.tags.count("h1") == 1
    assert not {"script", "link", "img", "iframe", "image"} & set(found.tags)
    assert "url(" not in text
    assert not re.findall(r"\b(?:nan|inf|None|undefined)\b", text)
    assert len(text.encode()) < 600_000
    for drawing in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(drawing)


def pictures(outcome):
    return {one.name: one for one in section.pictures(VOICE, twin.record(outcome))}


ROWS = {
    "nodes": (month, "each row is one node"),
    "blocks": (many, "each row is 17 neighbouring nodes of a queue"),
    "leaves": (lambda: many(leaf=32), "each row is the 32 nodes of one leaf switch"),
    "blocks where leaves are too many": (lambda: many(leaf=4), "17 neighbouring nodes"),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_caption_says_what_a_row_is(name):
    made, said = ROWS[name]
    assert said in pictures(made())["month-nodes"].caption


def test_lost_nodes_are_counted_and_marked_and_only_then():
    with_losses = pictures(month())["month-nodes"]
    lost = twin.spans.losses(twin.record(month())).subject.size
    assert f"Nodes were lost {lost} times" in with_losses.caption
    assert "nodes lost" in with_losses.wide
    without = pictures(plain())["month-nodes"]
    assert "lost" not in without.caption
    assert "lost" not in without.wide


def test_what_is_borrowed_is_told_apart_only_where_queues_lend():
    assert "borrowed" in pictures(month())["month-use"].wide
    assert "borrowed" not in pictures(plain())["month-use"].wide
    assert "cores (" in pictures(plain())["month-use"].wide


def test_cells_cover_what_is_in_use_and_nothing_else():
    band = heat.Band(
        name="q", note="2 nodes", used=((0.0, 1.0, 1.0, 0.4), (0.0,) * 4), lost=((0.0,) * 4,) * 2
    )
    axis = TimeAxis(end_s=4 * 3600.0, titles=("d", "h", "min"))
    text = heat.draw("x", 860, [band], axis=axis, legend=("used", "")).render(
        title="t", description="d"
    )
    paths = re.findall(r'<path d="([^"]+)" class="cell (\w+)"', text)
    assert [look for _, look in paths] == ["heat3", "heat8"]
    assert [commands.count("M") for commands, _ in paths] == [1, 1]


STEPS = {
    "a month on a laptop": (31 * 86400.0, 192, 4 * 3600.0),
    "a year on a laptop": (365 * 86400.0, 192, 48 * 3600.0),
    "an hour": (3600.0, 192, 60.0),
    "ten years": (3650 * 86400.0, 96, 3650 * 86400.0 / 96),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_time_are_round_and_few(name):
    end, most, step = STEPS[name]
    assert step_s(end, most) == step


def test_the_report_of_a_design_shows_them_when_it_has_the_recording():
    recording = twin.record(month())
    assert 'id="month-nodes"' in report.html(sample.design(), sample.run(), recording)
    assert 'id="month-nodes"' not in report.html(sample.design(), sample.run())
