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
from clusterwright.report import look
from clusterwright.report.blocks import Section
from clusterwright.report.context import Context, context
from clusterwright.report.language import check_language
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


def html(design: Design, run: Run | None = None, *, lang: str = "en") -> str:
    """Return the report of a design as one self-contained HTML file.

    Parameters
    ----------
    design
        The design.
    run
        A run of the twin on this design; without one the report says how to make one.
    lang
        `en` or `zh`.

    Raises
    ------
    UnknownName
        If there is no such language.
    """
    materials = context(design, run, check_language(lang))
    template = _environment().get_template("page.html")
    return template.render(
        design=design,
        words=materials.words,
        style=Markup(look.css() + _style()),  # noqa: S704 - our own style sheet
        answer=answer.answer(materials),
        sections=sections(materials),
        kind=_kind,
    )


def sections(materials: Context) -> tuple[Section, ...]:
    """Return the sections below the first screen; those without a subject are left out."""
    found = (make(materials) for make in _SECTIONS)
    return tuple(one for one in found if one is not None)


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
