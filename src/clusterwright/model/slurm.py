"""How Slurm writes names of nodes, times and numbers; every room that reads or writes them asks.

Only the words belong here: what a job, a node or an account says in them is the reader's.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from clusterwright.units import (
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    SECONDS_PER_MINUTE,
)

NO_LIMIT = frozenset({"", "unlimited", "partition_limit", "infinite", "none", "invalid"})
"""What stands for a time limit that is none of the job's own."""

_DURATION = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_DAYS_HOURS = re.compile(r"(\d+)-(\d+)(?::(\d+))?")
_NUMBERED = re.compile(r"(.*?)([0-9]+)")
_PARTS = re.compile(r"\[([^][]*)\]|([^][]+)|(.)")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_MOST_NODES = 1_000_000  # a typing error in a range shall not fill the memory


def fold(names: Iterable[str]) -> str:
    """Return names of nodes folded as Slurm writes them; they come in order.

    Examples
    --------
    >>> fold(["gpu-001", "gpu-002", "gpu-003", "gpu-009", "cpu-001", "login"])
    'gpu-[001-003,009],cpu-001,login'
    """
    folded: dict[tuple[str, bool], list[list[str]]] = {}
    for name in names:
        found = _NUMBERED.fullmatch(name)
        head, number = found.groups() if found else (name, "")
        runs = folded.setdefault((head, bool(number)), [])
        if number and runs and number == _after(runs[-1][-1]):
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    texts = []
    for (head, numbered), runs in folded.items():
        inner = ",".join("-".join(run) for run in runs)
        alone = not numbered or len(runs) == len(runs[0]) == 1
        texts.append(f"{head}{inner}" if alone else f"{head}[{inner}]")
    return ",".join(texts)


def unfold(text: str) -> tuple[str, ...]:
    """Return the names that a folded list stands for, in its order.

    Raises
    ------
    ValueError
        If it is no such list.

    Examples
    --------
    >>> unfold("gpu-[001-003,009],login")
    ('gpu-001', 'gpu-002', 'gpu-003', 'gpu-009', 'login')
    >>> unfold("r[1-2]n[08-09]")
    ('r1n08', 'r1n09', 'r2n08', 'r2n09')
    """
    names: list[str] = []
    for word in _words(text):
        grown = [""]
        for inner, plain, stray in _PARTS.findall(word):
            if stray:
                msg = f"{text!r} is no list of nodes: {stray!r} stands alone"
                raise ValueError(msg)
            ends = [plain] if plain else _numbers(inner, text)
            if len(grown) * len(ends) + len(names) > _MOST_NODES:
                msg = f"{text!r} stands for more than {_MOST_NODES} nodes"
                raise ValueError(msg)
            grown = [head + end for head in grown for end in ends]
        names += grown
    return tuple(names)


def duration_s(text: str) -> float | None:
    """Return an elapsed time, `[days-]hours:minutes:seconds` or `minutes:seconds`.

    Examples
    --------
    >>> duration_s("1-02:03:04")
    93784.0
    >>> duration_s("05:30")
    330.0
    """
    found = _DURATION.fullmatch(text)
    if not found:
        return None
    days, hours, minutes, seconds = found.groups()
    return (
        int(days or 0) * SECONDS_PER_DAY
        + int(hours or 0) * SECONDS_PER_HOUR
        + int(minutes) * SECONDS_PER_MINUTE
        + float(seconds)
    )


def limit_s(text: str) -> float | None:
    """Return a time limit; None for one that is unlimited or the partition's.

    Raises
    ------
    ValueError
        If it is no time limit.
    """
    if text.lower() in NO_LIMIT:
        return None
    found = _DAYS_HOURS.fullmatch(text)
    if found:
        days, hours, minutes = found.groups()
        value = int(days) * SECONDS_PER_DAY + int(hours) * SECONDS_PER_HOUR
        return value + int(minutes or 0) * SECONDS_PER_MINUTE
    elapsed = duration_s(text)
    return int(text) * SECONDS_PER_MINUTE if elapsed is None else elapsed


def number(value: Any) -> float | None:
    """Return a number of the JSON output, plain or as `{set, infinite, number}`; None when unset.

    Any, because the JSON of a foreign program holds whatever it holds.
    """
    if isinstance(value, Mapping):
        if not value.get("set", False) or value.get("infinite", False):
            return None
        value = value.get("number")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _after(number: str) -> str:
    return str(int(number) + 1).zfill(len(number))


def _words(text: str) -> list[str]:
    """Split at the commas outside brackets."""
    words, depth, start = [], 0, 0
    for at, sign in enumerate(text):
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            words.append(text[start:at])
            start = at + 1
    words.append(text[start:])
    return [word for word in words if word]


def _numbers(inner: str, text: str) -> list[str]:
    numbers: list[str] = []
    for part in inner.split(","):
        found = _RANGE.fullmatch(part.strip())
        first, last = found.groups() if found else ("", None)
        if not first or (last is not None and int(last) < int(first)):
            msg = f"{text!r} is no list of nodes: {part!r} is no number or range"
            raise ValueError(msg)
        if int(last or first) - int(first) > _MOST_NODES:
            msg = f"{text!r} stands for more than {_MOST_NODES} nodes"
            raise ValueError(msg)
        numbers += [str(n).zfill(len(first)) for n in range(int(first), int(last or first) + 1)]
    return numbers
