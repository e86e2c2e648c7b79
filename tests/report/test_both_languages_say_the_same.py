import re
from pathlib import Path
from typing import get_args

import pytest
from tests.report import sample
from tests.report.pages import Page

import clusterwright.report
from clusterwright import report
from clusterwright.model.compute import StepCause
from clusterwright.report import look
from clusterwright.report.language import LANGUAGES, Words, places, table

ROOM = Path(clusterwright.report.__file__).parent
CHINESE = re.compile(r"[\u4e00-\u9fff]")
KEY = re.compile(r'"#?([a-z]+(?:\.[a-z0-9]+)+)"')
NO_SENTENCE = ("spec.", "clusterwright.", "term.", "pattern.", "workloads.")
FILES = {"page.html", "month.html", "blocks.html", "style.css", "language.yaml"}


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
    built = (
        *("fabric.plane.", "fabric.level.", "facility.kind.", "economics.", "month.row."),
        *("term.", "pattern."),
    )
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
    ("said", "chinese"),
    [
        (
            "the demand states it; step 4.62 s, 3.75 % of it bubble, 15.9 % exposed messages; "
            "28.9 GB of 72 GB usable memory",
            "需求给定；单步 4.62 s，其中流水线等待 3.75 %，外露通信 15.9 %；"
            "占用 28.9 GB / 可用显存 72 GB",
        ),
        ("fastest that fits", "放得下的方式中最快"),
        (
            "209,715 steps of 4.62 s (± 4.26 %, checked on published runs) over goodput = 12 d, "
            "298 k GPU-h; 50.5 % MFU of 1,024 × 989 TFLOP/s",
            "209,715 步，每步 4.62 s（± 4.26 %，已用公开训练校验），"
            "除以有效产出 = 12 d，298 k GPU-h；"
            "MFU 50.5 %（1,024 × 989 TFLOP/s）",
        ),
    ],
)
def test_why_a_strategy_is_as_fast_as_it_is_stands_in_both_languages(said, chinese):
    assert Words("zh").phrase(said) == chinese


@pytest.mark.parametrize("cause", get_args(StepCause))
def test_every_cause_of_a_step_has_its_word_and_its_colour(cause):
    assert CHINESE.search(Words("zh").term(cause))
    assert cause == "launches" or look.colour_of(cause) != "grey"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_report_says_where_the_time_of_a_step_goes(lang):
    page = report.html(sample.design(), lang=lang)
    text = Page(page).text
    words = Words(lang)
    told = [
        words.term(part.name)
        for part in sample.design().spec.compute.strategies[0].parts
        if part.exposed
    ]
    assert all(one in text for one in told)
    assert words("step.beside") in text
    assert "4.91 s ± 4.3 %".replace(" s", "\u00a0s").replace(" %", "\u00a0%") in text
    other = text[text.index(words("compute.strategies.others.one", count=1)) :]
    assert words("compute.layout.recomputed", share="25\u00a0%") in other


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
