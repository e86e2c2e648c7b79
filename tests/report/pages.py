"""The designs that every test of the page goes through, and a strict reader of HTML."""

from html.parser import HTMLParser

from tests.report import sample
from tests.report.recordings import RUNS

from clusterwright import report, twin

DESIGNS = {
    "the worked case": sample.design,
    "a demand that cannot be met": sample.infeasible,
    "a centre that only serves": sample.without_training,
    "a centre without accelerators": sample.without_accelerators,
    "a hundred thousand accelerators": sample.hundred_thousand,
    "names that try to break out": sample.hostile,
}
CASES = [
    (name, lang, with_run)
    for name in DESIGNS
    for lang in ("en", "zh")
    for with_run in (False, True)
]
IDS = [f"{name}, {lang}{', with a run' if run else ''}" for name, lang, run in CASES]
_VOID = {"meta", "br", "wbr", "hr", "img", "input", "link"}


def page(name: str, lang: str, with_run: bool) -> str:
    """Return the page of a case."""
    return report.html(DESIGNS[name](), sample.run() if with_run else None, lang=lang)


def month_page(name: str, lang: str) -> str:
    """Return the page of a run, by its name among the recordings."""
    outcome = RUNS[name]()
    run = twin.summarise(name, outcome, twin.Setting())
    return report.month_html(run, twin.record(outcome), lang=lang)


class Page(HTMLParser):
    """A page read strictly: every tag is closed in order; texts, links and names are kept."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._table = ""
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
                if tag == "table":
                    self._table = value or ""
                    self.tables[self._table] = []
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "tr" and self._table:
            self.tables[self._table].append([])
        if tag in {"td", "th"} and self._table:
            self.tables[self._table][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> where </{self.open[-1] if self.open else ''}> was due")
        if self.open:
            self.open.pop()
        if tag == "table":
            self._table = ""

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        hidden = {"caption", "abbr", "a"} & set(self.open)
        below = self.open and self.open[-1] == "span"
        if self._table and {"td", "th"} & set(self.open) and not hidden and not below:
            self.tables[self._table][-1][-1] += data

    @property
    def text(self) -> str:
        """All that a reader sees or hears."""
        return "\n".join(self.texts)
