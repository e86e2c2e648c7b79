import re
from xml.etree import ElementTree

import pytest
from tests.report import sample
from tests.report.pages import CASES, IDS, Page, page

from clusterwright import report
from clusterwright.errors import UnknownName

MOST_BYTES = 2_000_000
SECTIONS = (
    "answer",
    "bottlenecks",
    "alternatives",
    "compute",
    "fabric",
    "storage",
    "facility",
    "economics",
    "reliability",
    "twin",
    "deviations",
    "assumptions",
    "derivations",
    "provenance",
)


@pytest.mark.parametrize(("name", "lang", "with_run"), CASES, ids=IDS)
def test_every_tag_is_closed_in_order_and_every_id_stands_once(name, lang, with_run):
    found = Page(page(name, lang, with_run))
    assert found.faults == []
    assert len(found.ids) == len(set(found.ids))
    assert found.tags.count("h1") == 1


@pytest.mark.parametrize(("name", "lang", "with_run"), CASES, ids=IDS)
def test_every_link_within_the_page_leads_somewhere(name, lang, with_run):
    found = Page(page(name, lang, with_run))
    named = [value for _, key, value in found.attributes if key == "href"]
    named += [
        f"#{one}"
        for _, key, value in found.attributes
        if key == "aria-labelledby"
        for one in value.split()
    ]
    assert named
    assert {one for one in named if one.startswith("#")} <= {f"#{one}" for one in found.ids}


@pytest.mark.parametrize(("name", "lang", "with_run"), CASES, ids=IDS)
def test_nothing_is_loaded_and_nothing_runs(name, lang, with_run):
    text = page(name, lang, with_run)
    found = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(found.tags)
    loading = {"src", "srcset", "data", "poster", "background", "xlink:href", "style"}
    assert not [one for one in found.attributes if one[1] in loading or one[1].startswith("on")]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


@pytest.mark.parametrize(("name", "lang", "with_run"), CASES, ids=IDS)
def test_no_missing_value_shows(name, lang, with_run):
    found = Page(page(name, lang, with_run))
    assert not re.findall(r"\b(?:nan|inf|None|null|undefined|True|False)\b", found.text)


@pytest.mark.parametrize(("name", "lang", "with_run"), CASES, ids=IDS)
def test_every_drawing_is_xml_with_a_title_and_a_description(name, lang, with_run):
    text = page(name, lang, with_run)
    drawings = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(drawings) >= 6
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        title, description = root[0], root[1]
        assert (title.tag, description.tag) == ("title", "desc")
        assert (title.text or "").strip()
        for element in root.iter():
            for key in ("width", "height", "r"):
                assert float(element.get(key, "0")) >= 0
            for key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy"):
                assert abs(float(element.get(key, "0"))) < 10_000


@pytest.mark.parametrize(("name", "lang", "with_run"), CASES, ids=IDS)
def test_it_stays_small(name, lang, with_run):
    assert len(page(name, lang, with_run).encode()) < MOST_BYTES


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_same_design_gives_the_same_bytes(lang):
    first = report.html(sample.design(), sample.run(), lang=lang)
    assert report.html(sample.design(), sample.run(), lang=lang) == first


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_discipline_has_its_section(lang):
    found = Page(report.html(sample.design(), sample.run(), lang=lang))
    assert [one for one in found.ids if one in SECTIONS] == list(SECTIONS)


def test_sections_without_a_subject_are_left_out():
    found = Page(report.html(sample.without_accelerators()))
    assert not {"bottlenecks", "reliability", "deviations", "derivations"} & set(found.ids)


def test_the_first_screen_says_what_cannot_be_met_and_what_would_mend_it():
    text = report.html(sample.infeasible())
    screen = Page(text[text.index('id="answer"') : text.index('id="bottlenecks"')]).text
    assert "Does not meet the demand" in screen
    for word in ("limits.capex", "$90", "$119", "data.retain", "9 months"):
        assert word in screen.replace("\n", "")


def test_a_hostile_name_stays_text():
    text = report.html(sample.hostile(), sample.run())
    assert "<script" not in text
    assert '<script>alert("x")</script>' in Page(text).text
    assert "49}}" not in text  # {{7*7}} was not reckoned


def test_an_estimate_carries_its_mark():
    found = report.html(sample.design())
    costs = found[found.index("Costs to build") :]
    assert costs.index('class="estimate"') < costs.index("$119")


def test_an_unknown_language_is_named_with_the_known_ones():
    with pytest.raises(UnknownName, match="en, zh"):
        report.html(sample.design(), lang="tlh")


def test_on_paper_a_section_is_not_torn_from_its_first_picture():
    style = report.html(sample.design()).partition("@media print{")[2].partition("</style>")[0]
    assert ".lead{break-after:avoid;break-inside:avoid}" in style
