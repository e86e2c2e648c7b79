"""How an answer is written on stdout: the payload alone, in the form asked for."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterwright.cli.common import Common, stdout
from clusterwright.errors import UsageError, nearest

API_VERSION = "clusterwright/v1"

Row = Mapping[str, Any]  # a cell is whatever the command found; it is printed, never computed with


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command found: a document for machines and a table for people."""

    document: Mapping[str, Any]
    """The whole answer, JSON-able."""
    rows: Sequence[Row] = ()
    """The answer as rows, for table, wide, csv, name and jsonl."""
    columns: Sequence[str] = ()
    """Columns of the table; the others are shown by `wide` and `csv`."""
    text: str = ""
    """What `-o table` prints instead of the rows, where prose says it better."""
    key: str = "name"
    """Column that `-o name` prints."""


def items_document(kind: str, items: Sequence[Row], **status: Any) -> dict[str, Any]:
    """Return a list document; an empty list is `{"items": []}` beside the header."""
    document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": kind, "items": list(items)}
    if status:
        document["status"] = status
    return document


def emit(answer: Answer, common: Common) -> None:
    """Write the answer on stdout in the form that `-o` asks for."""
    match common.output:
        case "json":
            sys.stdout.write(json.dumps(answer.document, indent=2, ensure_ascii=False) + "\n")
        case "yaml":
            import yaml

            yaml.dump(
                answer.document,
                sys.stdout,
                sort_keys=False,
                allow_unicode=True,
                Dumper=_PlainDumper,
            )
        case "jsonl":
            for row in _filtered(answer, common):
                sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        case "csv":
            rows = _filtered(answer, common)
            columns = _columns(answer, common, every=True)
            sys.stdout.write(csv_text(rows, columns))
        case "name":
            for row in _filtered(answer, common):
                sys.stdout.write(f"{row.get(answer.key, '')}\n")
        case "sarif":
            msg = "-o sarif is for `clusterwright check`; take json here"
            raise UsageError(msg)
        case "wide":
            _table(_filtered(answer, common), _columns(answer, common, every=True), common)
        case "table":
            if answer.text and not common.columns and not common.filter:
                sys.stdout.write(answer.text.rstrip("\n") + "\n")
            else:
                _table(_filtered(answer, common), _columns(answer, common, every=False), common)


def csv_text(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Return rows as CSV text with a header, absent cells empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(column) is None else row[column] for column in columns])
    return out.getvalue()


def _filtered(answer: Answer, common: Common) -> list[Row]:
    filters = common.filters()
    _known(filters, answer, "--filter")
    return [
        row
        for row in answer.rows
        if all(str(row.get(column, "")) == value for column, value in filters.items())
    ]


def _columns(answer: Answer, common: Common, *, every: bool) -> list[str]:
    if common.columns:
        chosen = [column.strip() for column in common.columns.split(",") if column.strip()]
        _known(chosen, answer, "--columns")
        return chosen
    if answer.columns and not every:
        return list(answer.columns)
    return _all_columns(answer)


def _all_columns(answer: Answer) -> list[str]:
    found: dict[str, None] = {}
    for row in answer.rows:
        found.update(dict.fromkeys(row))
    return list(found or dict.fromkeys(answer.columns))


def _known(names: Iterable[str], answer: Answer, option: str) -> None:
    known = _all_columns(answer)
    unknown = [name for name in names if name not in known]
    if unknown and known:
        hints = nearest(unknown[0], known)
        near = f" Did you mean {', '.join(hints)}?" if hints else ""
        msg = f"{option}: no column {', '.join(unknown)}.{near} Columns: {', '.join(known)}."
        raise UsageError(msg)


def _table(rows: Sequence[Row], columns: Sequence[str], common: Common) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    stdout(common).print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.6g}"
        case _:
            return escape(str(value))


def _plain_dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Safe YAML without anchors, so that the output is plain data."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    return Dumper


class _PlainDumper:
    """Build the dumper when it is first used, so that JSON output never imports YAML."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _plain_dumper()(*args, **kwargs)
