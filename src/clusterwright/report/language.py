"""The one table of sentences that readers see, in English and in simplified Chinese."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

import yaml

from clusterwright.errors import UnknownName

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def check_language(lang: str) -> Language:
    """Return a language that reports can be written in.

    Raises
    ------
    UnknownName
        If there is no such language.
    """
    for one in LANGUAGES:
        if lang == one:
            return one
    raise UnknownName.of("language", lang, LANGUAGES)


@cache
def table() -> Mapping[str, tuple[str, str]]:
    """Return every sentence by key, as `(English, Chinese)`."""
    text = resources.files("clusterwright.report").joinpath("language.yaml").read_text("utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are the safe ones
    return {str(key): (str(pair[0]), str(pair[1])) for key, pair in rows.items()}


class Words:
    """The sentences of one language."""

    def __init__(self, lang: Language) -> None:
        """Take the language."""
        self.lang = lang
        self._column = LANGUAGES.index(lang)

    @property
    def html_lang(self) -> str:
        """The language as HTML names it."""
        return {"en": "en", "zh": "zh-CN"}[self.lang]

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence of a key, its places filled."""
        text = table()[key][self._column]
        return text.format_map(values) if values else text

    def many(self, key: str, count: int, **values: object) -> str:
        """Return the sentence for one, or for several; `{count}` is filled in."""
        form = "one" if count == 1 else "many"
        return self(f"{key}.{form}", count=f"{count:,}", **values)

    def term(self, word: str) -> str:
        """Return a word of the design in this language; as it stands when the table lacks it."""
        pair = table().get(f"term.{word.casefold()}")
        return word if pair is None else pair[self._column]

    def phrase(self, text: str) -> str:
        """Return a short text of the design with the words that the table knows replaced.

        English stays as it is. Only whole texts and known leading or trailing words are replaced, so
        that names of people's own are left alone.
        """
        known = self.term(text)
        if known != text or self.lang == "en":
            return known
        head, gap, tail = text.rpartition(" ")
        if gap and f"term.{tail.casefold()}" in table():
            return f"{head} {self.term(tail)}"
        return text

    def listed(self, words: list[str]) -> str:
        """Return words as a list in prose.

        Examples
        --------
        >>> Words("en").listed(["racks", "power", "money"])
        'racks, power and money'
        """
        if len(words) <= 1:
            return "".join(words)
        comma, last = self("list.comma"), self("list.and")
        return comma.join(words[:-1]) + last + words[-1]


def places(text: str) -> frozenset[str]:
    """Return the names of the places in a sentence that are filled in."""
    return frozenset(re.findall(r"\{(\w+)\}", text))
