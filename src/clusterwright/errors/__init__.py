"""Every error that clusterwright raises, with the exit code that it leaves with."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    """Done, and the answer is yes."""
    NO = 1
    """Done, and the answer is no: infeasible, findings, a failed job, a difference."""
    USAGE = 2
    """Wrong use, or an input file that is not valid."""
    TARGET = 3
    """A target or credential is missing or refused."""
    CONFLICT = 4
    """The state changed underneath, or a lock is held."""
    BUG = 70
    """A fault of clusterwright."""
    TRY_LATER = 75
    """Not now; the same call may work later."""
    TIMEOUT = 124
    """The time given by --timeout has passed."""
    INTERRUPTED = 130
    """Interrupted by the user."""


class ClusterwrightError(Exception):
    """The root of all errors that are meant for a reader."""

    exit_code: ExitCode = ExitCode.USAGE


class UsageError(ClusterwrightError):
    """The command was called wrongly."""


class UnknownName(ClusterwrightError):
    """A name that nobody knows; the message offers near ones."""

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str]) -> Self:
        """Return the error for an unknown `what` called `name`."""
        return cls(f"{what} {name!r} is not known{_offer(name, list(known))}")


class TargetMissing(ClusterwrightError):
    """Something outside is missing or refuses us."""

    exit_code = ExitCode.TARGET


class Conflict(ClusterwrightError):
    """What is there already would be overwritten, or has changed."""

    exit_code = ExitCode.CONFLICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of an input: what is wrong, where, and how to mend it."""

    file: str = "-"
    """File as the user named it; `-` for stdin."""
    line: int | None = None
    """Line, from 1; absent when the fault has no place."""
    column: int | None = None
    """Column, from 1; absent when the fault has no place."""
    path: str = ""
    """Dotted path of the field; empty for the document as a whole."""
    message: str
    """What is wrong, with the value seen."""
    remedy: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        """Return `file:line:column: path: message. remedy`."""
        place = self.file
        if self.line is not None:
            place += f":{self.line}:{self.column or 1}"
        head = f"{place}: {self.path}: " if self.path else f"{place}: "
        body = self.message.rstrip(".") + "."
        if not self.remedy:
            return head + body
        remedy = self.remedy[0].upper() + self.remedy[1:].rstrip(".")
        return f"{head}{body} {remedy}{'' if remedy.endswith('?') else '.'}"


class InvalidInput(ClusterwrightError):
    """An input with faults, all of them at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults in the order of the file."""
        ordered = sorted(faults, key=lambda f: (f.file, f.line or 0, f.column or 0, f.path))
        self.faults: tuple[Fault, ...] = tuple(dict.fromkeys(ordered))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the known names that look most like `name`, nearest first."""
    by_fold: dict[str, str] = {}
    for one in known:
        by_fold.setdefault(one.casefold(), one)
    found = difflib.get_close_matches(name.casefold()[:80], list(by_fold), n=most, cutoff=0.6)
    return [by_fold[fold] for fold in found]


def _offer(name: str, known: Sequence[str]) -> str:
    if not known:
        return "; there is none to choose from"
    hints = nearest(name, known)
    if hints:
        return f"; did you mean {' or '.join(hints)}?"
    shown = ", ".join(list(known)[:12])
    return f"; known: {shown}{', …' if len(known) > 12 else ''}"
