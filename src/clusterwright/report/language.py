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
        """Return a short text that the plan wrote, in this language where the table knows it.

        Whole words are looked up under `term.`, sentences with variable parts under `pattern.`,
        where `*` stands for each, in the same order in every language. What the table does not
        know stays as it is, names above all.
        """
        if self.lang == LANGUAGES[0]:
            return text
        if "; " in text:
            return self("list.semicolon").join(self.phrase(part) for part in text.split("; "))
        known = self.term(text)
        if known != text:
            return known
        for pattern, pair in _patterns():
            match = pattern.fullmatch(text)
            if match:
                parts = [self.phrase(part) for part in match.groups()]
                return _filled(pair[self._column], parts)
        return text

    def opening(self, key: str, **values: object) -> str:
        """Return the sentence of a key with its first letter in upper case."""
        text = self(key, **values)
        return text[:1].upper() + text[1:]

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


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], tuple[str, str]], ...]:
    return tuple(
        (re.compile("(.+?)".join(map(re.escape, pair[0].split("*")))), pair)
        for key, pair in table().items()
        if key.startswith("pattern.")
    )


def _filled(text: str, parts: list[str]) -> str:
    pieces = text.split("*")
    return pieces[0] + "".join(part + piece for part, piece in zip(parts, pieces[1:], strict=True))


def places(text: str) -> frozenset[str]:
    """Return the names of the places in a sentence that are filled in."""
    return frozenset(re.findall(r"\{(\w+)\}", text))
