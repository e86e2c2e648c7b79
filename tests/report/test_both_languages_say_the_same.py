import re
from pathlib import Path

import pytest
from tests.report import sample
from tests.report.pages import Page

import clusterwright.report
from clusterwright import report
from clusterwright.report.language import LANGUAGES, Words, places, table

ROOM = Path(clusterwright.report.__file__).parent
CHINESE = re.compile(r"[\u4e00-\u9fff]")
KEY = re.compile(r'"#?([a-z]+(?:\.[a-z0-9]+)+)"')
NO_SENTENCE = ("spec.", "clusterwright.", "term.", "pattern.", "workloads.")
FILES = {"page.html", "blocks.html", "style.css", "language.yaml"}


def test_every_sentence_stands_in_both_languages_with_the_same_places():
    for key, pair in table().items():
        assert len(pair) == len(LANGUAGES)
        for text in pair:
            assert text.strip() or key in {"number.gap", "list.space"}, key
        assert places(pair[0]) == places(pair[1]), key
        assert pair[0].count("*") == pair[1].count("*"), key


def test_sentences_are_chinese_where_they_should_be():
    alike = {
        key
        for key, pair in table().items()
        if not CHINESE.search(pair[1]) and len(re.sub(r"\{\w+\}", "", pair[0])) > 16
    }
    assert alike == set()


def test_every_sentence_that_the_code_names_is_in_the_table_and_the_other_way_round():
    code = "\n".join(one.read_text("utf-8") for one in sorted(ROOM.rglob("*.py")))
    code += "\n".join(
        one.read_text("utf-8").replace("'", '"') for one in sorted(ROOM.rglob("*.html"))
    )
    named = {one for one in KEY.findall(code) if not one.startswith(NO_SENTENCE)} - FILES
    known = set(table())
    missing = {one for one in named if one not in known and f"{one}.one" not in known}
    assert missing == set()
    built = ("fabric.plane.", "fabric.level.", "facility.kind.", "economics.", "term.", "pattern.")
    unused = {
        one
        for one in known
        if one.removesuffix(".one").removesuffix(".many") not in named
        and not one.startswith(built)
        and one != "plain"
    }
    assert unused == set()


def test_no_sentence_stands_in_a_template():
    for template in sorted(ROOM.rglob("*.html")):
        bare = re.sub(
            r"\{[{%#].*?[}%#]\}|<[^>]*>", " ", template.read_text("utf-8"), flags=re.DOTALL
        )
        words = set(re.findall(r"[A-Za-z]{3,}", bare)) - {"clusterwright"}
        assert words == set(), template.name


def test_the_chinese_page_says_in_chinese_what_the_plan_always_says():
    text = Page(report.html(sample.design(), sample.run(), lang="zh")).text
    for english in (
        "Why this design",
        "cooling and losses",
        "lake tier",
        "compute plane",
        "rack power",
    ):
        assert english not in text
    for chinese in ("首要瓶颈", "冷却与损耗", "机柜功率", "数字孪生运行"):
        assert chinese in text


def test_a_sentence_of_the_plan_is_translated_part_by_part_and_names_stay():
    words = Words("zh")
    assert words.phrase("deadline of bev-foundation") == "bev-foundation的期限"
    assert words.phrase("the demand states it; bubble 0.6 %") == "需求给定；流水线气泡 0.6 %"
    assert words.phrase("H100-SXM5-80GB") == "H100-SXM5-80GB"
    assert Words("en").phrase("lake capacity") == "lake capacity"


@pytest.mark.parametrize(
    "effect",
    [
        "takes the design as it is: 107 MUSD to build",
        "takes the design as it is, with limits.power raised too: 107 MUSD to build",
        "keeps every limit with 48 accelerators",
        "meets the deadline for 60 MUSD instead of 30 MUSD",
        "cools racks denser than 50 kW",
        "the stream offers more work than the pool can do: it never ends",
    ],
)
def test_what_would_mend_a_demand_is_said_in_both_languages(effect):
    assert CHINESE.search(Words("zh").phrase(effect))
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", Words("zh").phrase(effect))


@pytest.mark.parametrize("stage", ["capex", "opex", "carbon", "facility power", "hall power"])
def test_a_limit_that_binds_is_named_in_both_languages(stage):
    assert CHINESE.search(Words("zh").phrase(stage))
