"""The formats that logs come in: which one a file has, and the reader of each."""

import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from zoneinfo import ZoneInfo

from clusterwright.errors import Fault, InvalidInput, UnknownName
from clusterwright.traces import kubernetes, slurm, slurm_records, swf, tidy
from clusterwright.traces.trace import Reading, Trace

_GZIP = b"\x1f\x8b"
_LOOKED_AT = 65_536  # characters of a file that tell its format


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of logs."""

    name: str
    """What --format calls it."""
    title: str
    """What it is, and which command writes it."""
    queues: tuple[str, ...]
    """What of a row may be the queue; the first is, unless another is asked for."""
    columns: Mapping[str, str]
    """What is read from it: column or field, and what becomes of it."""
    read: Callable[[str, str, Reading], Trace]
    """Reader of a text, its file name and the ways to read it."""
    looks: Callable[[str], bool]
    """Whether the beginning of a text looks like it."""


def read_trace(
    content: bytes,
    *,
    file: str,
    queue: str = "all",
    form: str = "",
    queue_from: str = "",
    processors: Literal["cores", "accelerators"] = "cores",
    timezone: str = "UTC",
) -> Trace:
    """Return the jobs of a trace in any of the formats.

    Parameters
    ----------
    content
        The file's bytes, plain or gzip.
    file
        Its name for messages.
    queue
        Queue of jobs whose row names none.
    form
        Name of the format; empty to tell it by the content.
    queue_from
        What of a row is the queue; empty for the format's own choice.
    processors
        What the processors of a format without accelerators are.
    timezone
        Zone of times that name none.

    Raises
    ------
    InvalidInput
        If the format cannot be told, or the file does not have it.
    UnknownName
        If there is no such format, queue source or zone.
    """
    text = _text(content, file)
    chosen = format_of(form) if form else detect(text, file)
    if queue_from and queue_from.lower() not in chosen.queues:
        raise UnknownName.of(f"queue of {chosen.name}", queue_from, chosen.queues)
    try:
        ZoneInfo(timezone)
    except (OSError, ValueError, KeyError) as error:
        msg = f"time zone {timezone!r} is not known; write one as Europe/Berlin or UTC"
        raise UnknownName(msg) from error
    how = Reading(
        queue=queue, queue_from=queue_from.lower(), processors=processors, timezone=timezone
    )
    return replace(chosen.read(text, file, how), form=chosen.name)


def format_of(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    if name not in FORMATS:
        raise UnknownName.of("format", name, FORMATS)
    return FORMATS[name]


def detect(text: str, file: str) -> Format:
    """Return the format that a text looks like.

    Raises
    ------
    InvalidInput
        If it looks like none.
    """
    head = text[:_LOOKED_AT].lstrip("\ufeff \t\r\n")
    for one in FORMATS.values():
        if one.looks(head):
            return one
    first = head.partition("\n")[0][:60]
    begins = f"it begins with {first!r}" if first else "it is empty"
    names = ", ".join(f"{one.name} ({one.title})" for one in FORMATS.values())
    fault = Fault(
        file=file,
        line=1,
        message=f"its format cannot be told: {begins}",
        remedy=f"name it with --format: {names}",
    )
    raise InvalidInput([fault])


def _text(content: bytes, file: str) -> str:
    try:
        raw = gzip.decompress(content) if content[:2] == _GZIP else content
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        fault = Fault(file=file, message=f"is neither text nor gzip of it ({error})")
        raise InvalidInput([fault]) from error


def _looks_tidy(head: str) -> bool:
    names = {name.strip().strip('"') for name in head.partition("\n")[0].split(",")}
    return len(names & set(tidy.NEEDED)) >= 2


def _looks_sacct(head: str) -> bool:
    names = head.partition("\n")[0].lower().split("|")
    return len(names) > 1 and "jobid" in names


def _looks_sacct_json(head: str) -> bool:
    if not head.startswith("{") or re.search(r'"apiVersion"\s*:', head):
        return False
    return bool(re.search(r'"jobs"\s*:\s*\[|"[Ss]lurm"\s*:', head))


def _looks_swf(head: str) -> bool:
    lines = [line for line in head.splitlines() if line.strip()]
    rows = [line.split() for line in lines if not line.startswith(";")]
    if not rows:
        return bool(lines)
    return len(rows[0]) == 18 and all(re.fullmatch(r"-?\d+(\.\d*)?", cell) for cell in rows[0])


def _looks_kubernetes(head: str) -> bool:
    if not head.startswith(("{", "[")):
        return False
    if re.search(r'"(apiVersion|kind|involvedObject)"\s*:', head):
        return True
    try:
        return "object" in json.loads(head.partition("\n")[0])
    except ValueError:
        return False


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format(
            name="tidy",
            title="our CSV, one row a job",
            queues=tidy.QUEUES,
            columns={column.name: column.meaning for column in tidy.COLUMNS},
            read=tidy.read,
            looks=_looks_tidy,
        ),
        Format(
            name="sacct",
            title="text of `sacct -P`",
            queues=slurm_records.QUEUES,
            columns=slurm_records.COLUMNS,
            read=slurm.read_text,
            looks=_looks_sacct,
        ),
        Format(
            name="sacct-json",
            title="`sacct --json`",
            queues=slurm_records.QUEUES,
            columns=slurm_records.JSON_FIELDS,
            read=slurm.read_json,
            looks=_looks_sacct_json,
        ),
        Format(
            name="swf",
            title="Standard Workload Format",
            queues=swf.QUEUES,
            columns=swf.FIELDS,
            read=swf.read,
            looks=_looks_swf,
        ),
        Format(
            name="kubernetes",
            title="objects or watch events of `kubectl -o json`",
            queues=kubernetes.QUEUES,
            columns=kubernetes.FIELDS,
            read=kubernetes.read,
            looks=_looks_kubernetes,
        ),
    )
}
"""Every format by its name, in the order in which they are tried."""
