"""Checkpoints on disk: which are complete, and which one to resume from.

A checkpoint is a directory `<dir>/<name>` with a file `complete.json` in it, renamed into place
after all else is written. The file holds `{"step": 1200}`; what else it holds is kept. The newest
complete checkpoint is the one of the highest step, not of the latest clock.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARKER = "complete.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A complete checkpoint."""

    path: Path
    """Its directory."""
    step: int
    """Step that it was taken at."""
    notes: Mapping[str, Any]  # whatever the job wrote beside the step
    """All of the marker."""


def newest(directory: Path) -> Saved | None:
    """Return the newest complete checkpoint; None where there is none."""
    return max(complete(directory), key=lambda one: (one.step, one.path.name), default=None)


def complete(directory: Path) -> list[Saved]:
    """Return every complete checkpoint of a directory, in no order; torn markers do not count."""
    found = []
    try:
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        one = _read(directory / name)
        if one is not None:
            found.append(one)
    return found


def mark(path: Path, step: int, **notes: Any) -> None:
    """Declare a checkpoint complete: all of it is on disk before its marker is.

    Parameters
    ----------
    path
        Its directory, already written.
    step
        Step that it was taken at.
    notes
        JSON-able facts to keep with it.
    """
    for entry in os.scandir(path):
        if entry.is_file():
            _sync(Path(entry.path))
    fresh = path / f"{MARKER}.{os.getpid()}"
    with fresh.open("w") as file:
        json.dump({"step": step, **notes}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path / MARKER)
    _sync(path)


def _read(path: Path) -> Saved | None:
    try:
        notes = json.loads((path / MARKER).read_text())
        step = notes["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(step, int) or isinstance(step, bool) or step < 0:
        return None
    return Saved(path=path, step=step, notes=notes)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
