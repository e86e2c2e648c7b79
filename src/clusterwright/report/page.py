"""The page: sections in order, put into one HTML file that loads nothing."""

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from clusterwright.model.design import Design
from clusterwright.model.run import Run
from clusterwright.report import look, month
from clusterwright.report.blocks import Section
from clusterwright.report.context import Context, Voice, context
from clusterwright.report.language import Words, check_language
from clusterwright.report.numbers import Numbers
from clusterwright.report.sections import (
    alternatives,
    answer,
    compute,
    economics,
    evidence,
    fabric,
    facility,
    ledger,
    reliability,
    storage,
    twin,
)
from clusterwright.twin.recording import Recording

_SECTIONS: tuple[Callable[[Context], Section | None], ...] = (
    ledger.section,
    alternatives.section,
    compute.section,
    fabric.section,
    storage.section,
    facility.section,
    economics.section,
    reliability.section,
    twin.section,
    evidence.deviations,
    evidence.assumptions,
    evidence.derivations,
    evidence.provenance,
)


def html(
    design: Design,
    run: Run | None = None,
    recording: Recording | None = None,
    *,
    lang: str = "en",
) -> str:
    """Return the report of a design as one self-contained HTML file.

    Parameters
    ----------
    design
        The design.
    run
        A run of the twin on this design; without one the report says how to make one.
    recording
        That run event by event, for pictures of its nodes.
    lang
        `en` or `zh`.

    Raises
    ------
    UnknownName
        If there is no such language.
    """
    materials = context(design, run, check_language(lang), recording)
    return _rendered(
        "page.html",
        design=design,
        words=materials.words,
        answer=answer.answer(materials),
        sections=sections(materials),
    )


def month_html(run: Run, recording: Recording, *, lang: str = "en") -> str:
    """Return a run of the twin as one self-contained HTML file.

    Parameters
    ----------
    run
        The summary of the run.
    recording
        The run event by event.
    lang
        `en` or `zh`.

    Raises
    ------
    UnknownName
        If there is no such language.
    """
    words = Words(check_language(lang))
    voice = Voice(words=words, show=Numbers(words))
    return _rendered("month.html", run=run, words=words, month=month.month(voice, run, recording))


def sections(materials: Context) -> tuple[Section, ...]:
    """Return the sections below the first screen; those without a subject are left out."""
    found = (make(materials) for make in _SECTIONS)
    return tuple(one for one in found if one is not None)


def _rendered(template: str, **materials: Any) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(look.css() + _style()),  # noqa: S704 - our own style sheet
            kind=_kind,
            **materials,
        )
    )


def _kind(block: Any) -> str:
    return type(block).__name__


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clusterwright.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(text: str) -> Markup:
    """Return a path that may break before its dots and brackets."""
    return Markup("<wbr>").join(re.split(r"(?=[.\[])", text))


@cache
def _style() -> str:
    folder = resources.files("clusterwright.report").joinpath("templates")
    return folder.joinpath("style.css").read_text("utf-8")
