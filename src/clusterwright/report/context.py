"""What every section of the report is built from: the design, the words, the numbered reasons."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clusterwright.model.design import Derivation, Design
from clusterwright.model.run import Run
from clusterwright.report.blocks import Cell, Column, Fact
from clusterwright.report.language import Language, Words
from clusterwright.report.look import colour_of
from clusterwright.report.numbers import Numbers
from clusterwright.twin.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How a page speaks: its words, its figures, its colours."""

    words: Words
    """Sentences in the language of the page."""
    show: Numbers
    """Figures in that language."""

    def say(self, text: str) -> str:
        """Return a text that the plan wrote in the words and the money of the page."""
        return self.show.money_in(self.words.phrase(text))

    def colour(self, name: str) -> str:
        """Return the token of a kind of thing."""
        return colour_of(name)

    def fact(self, key: str, text: str, *, path: str = "", estimated: bool = False) -> Fact:
        """Return a figure under the name that the language table gives for a key."""
        return Fact(name=self.words(key), value=self.cell(text, path=path, estimated=estimated))

    def columns(self, *keys: str) -> tuple[Column, ...]:
        """Return columns titled by keys; one that begins with `#` holds figures."""
        return tuple(
            Column(title=self.words(key.removeprefix("#")), numeric=key.startswith("#"))
            for key in keys
        )

    def note(self, path: str) -> int | None:  # noqa: ARG002 - a page of a design has notes
        """Return the number of the derivation of a figure; None when there is none."""
        return None

    def cell(
        self,
        text: str,
        *,
        below: str = "",
        path: str = "",
        estimated: bool = False,
        status: str = "",
        strong: bool = False,
    ) -> Cell:
        """Return a cell; `path` names the figure so that its derivation is linked."""
        return Cell(
            text=text,
            below=below,
            note=self.note(path) if path else None,
            estimated=estimated,
            status=status,
            strong=strong,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Voice):
    """The materials of the report of a design."""

    design: Design
    """The design to report on."""
    run: Run | None
    """A run of the twin on it; None without one."""
    recording: Recording | None
    """That run event by event; None without it."""
    notes: Mapping[str, int]
    """Number of the derivation by path in the design."""

    def note(self, path: str) -> int | None:
        """Return the number of the derivation of a figure; None when there is none."""
        return self.notes.get(path)

    def colour(self, name: str) -> str:
        """Return the token of a thing of the design, a pool's by its role."""
        for pool in self.design.spec.compute.pools:
            if pool.name == name:
                return colour_of(pool.role)
        return colour_of(name)


def context(
    design: Design, run: Run | None, lang: Language, recording: Recording | None = None
) -> Context:
    """Return the materials of a report in a language."""
    words = Words(lang)
    return Context(
        design=design,
        run=run,
        recording=recording,
        words=words,
        show=Numbers(words),
        notes=numbered(design.spec.derivations),
    )


def numbered(derivations: tuple[Derivation, ...]) -> Mapping[str, int]:
    """Return the number of each derivation by its path; the first one of a path counts."""
    notes: dict[str, int] = {}
    for number, one in enumerate(derivations, start=1):
        notes.setdefault(one.path, number)
    return notes


def anchor(text: str) -> str:
    """Return a text as part of an identifier."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "x"
