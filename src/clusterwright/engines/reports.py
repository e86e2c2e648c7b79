"""What a running job tells of itself: JSON lines that it appends to `$CLUSTERWRIGHT_REPORT`.

Each line is an object; known keys are `step`, `tokens`, `samples`, `flop` (operations that the
model needs), `loss`, `time_s` (seconds since 1970) and `checkpoint_s` (how long a checkpoint took);
tokens, samples and operations are those done since the line before. Unknown keys are kept. Torn
lines are skipped and counted: a job may be killed while it writes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A part of a report."""

    lines: tuple[Mapping[str, Any], ...]  # what jobs write is theirs
    """Whole lines, in order."""
    offset: int
    """Where to read on."""
    num_torn: int
    """Lines that were no JSON object."""


def read(path: Path, offset: int = 0) -> Reported:
    """Return the whole lines of a report from an offset on; a line still being written waits."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read()
    except FileNotFoundError:
        return Reported(lines=(), offset=offset, num_torn=0)
    whole = text.rfind(b"\n") + 1
    lines: list[Mapping[str, Any]] = []
    torn = 0
    for line in text[:whole].splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            one = None
        if isinstance(one, dict):
            lines.append(one)
        else:
            torn += 1
    return Reported(lines=tuple(lines), offset=offset + whole, num_torn=torn)
