"""What the engine keeps on disk: one directory an attempt, and the claim that makes it start once.

The server and every node see the directory under one path. Nothing here is written twice: a file
is renamed into place, the claim is a link that only the first can make. Bookkeeping of attempts
that need watching stands in `active`; logs stay where they are.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clusterwright.engines.protocol import Attempt, OutOfReach, Stream
from clusterwright.units import Seconds

FENCED: Final = "fenced"
"""What the claim says when nothing may start any more."""

SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What names of jobs and nodes must look like to be names of files."""
_SIGNAL_EXIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the batch script recorded at its end."""

    code: int
    """Its exit code."""
    reason: str
    """`done`, `stopped`, `timeout`, or `killed` for a TERM of Slurm's own."""
    time_s: Seconds
    """When."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankEnding:
    """What a task left."""

    code: int
    """Its exit code; minus the signal that killed it."""
    cpu_s: Seconds
    """Processor time of it and its children."""


class Entry:
    """The directory of one attempt."""

    def __init__(self, spool: "Spool", attempt: Attempt) -> None:
        """Name it; nothing is made yet."""
        self.attempt = attempt
        self.path = spool.root / "jobs" / attempt.job_id / str(attempt.number)
        self._active = spool.active / str(attempt)

    def make(self) -> None:
        """Make its directories; only the owner looks into them."""
        for path in (self.path, self.path / "logs", self.path / "ranks"):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def watch(self) -> None:
        """Put it among those that are observed."""
        self._active.parent.mkdir(parents=True, exist_ok=True)
        self._active.touch()

    def unwatch(self) -> None:
        """Take it from those that are observed."""
        self._active.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold its lock: of two servers that launch at one time, one waits for another turn.

        Raises
        ------
        OutOfReach
            If another server holds it.
        """
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                msg = f"{self.attempt}: another server launches it at this moment"
                raise OutOfReach(msg) from error
            yield

    def claim(self, holder: str) -> bool:
        """Make the claim; False when it has been made before."""
        self.make()
        try:
            (self.path / "claim").symlink_to(holder)
        except FileExistsError:
            return False
        return True

    @property
    def holder(self) -> str:
        """Who made the claim: `job-17`, or FENCED; empty while nobody has."""
        try:
            return str((self.path / "claim").readlink())
        except (FileNotFoundError, NotADirectoryError):
            return ""

    @property
    def slurm_id(self) -> int | None:
        """Number in Slurm: of the job that started it, else of the one that was submitted."""
        found = re.fullmatch(r"job-(\d+)", self.holder)
        text = found[1] if found else (self.text("submitted") or "")
        return int(text) if text.isdecimal() else None

    def text(self, name: str) -> str | None:
        """Return what a file says; None where there is none."""
        try:
            return (self.path / name).read_text(errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file whole or not at all, on disk before this returns."""
        path = self.path / name
        fresh = self.path / f"{name}.{os.getpid()}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path

    def note(self, name: str, facts: Mapping[str, Any]) -> None:  # JSON of our own
        """Write facts as JSON."""
        self.write(name, json.dumps(facts))

    def noted(self, name: str) -> Mapping[str, Any] | None:
        """Return facts that were noted; None where there are none."""
        text = self.text(name)
        if not text:
            return None
        try:
            facts = json.loads(text)
        except ValueError:
            return None
        return facts if isinstance(facts, dict) else None

    def remove(self, *names: str) -> None:
        """Take files away."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Its nodes in the order of ranks: as ordered, else as its batch script found them.

        Slurm's own list loses a node as soon as the node is lost.
        """
        ordered = (self.noted("order") or {}).get("nodes") or ()
        return tuple(ordered) or tuple(filter(None, (self.text("placed") or "").split(",")))

    @property
    def ending(self) -> Ending | None:
        """What the batch script recorded at its end; None while it has not."""
        words = (self.text("end") or "").split()
        try:
            code, reason, time = words
            return Ending(code=signed(int(code)), reason=reason, time_s=float(time))
        except ValueError:
            return None

    def ranks(self, number: int) -> tuple[RankEnding | None, ...]:
        """Return what each of the tasks left, in order; None for one that left nothing."""
        return tuple(_rank(self.text(f"ranks/{rank}")) for rank in range(number))

    @property
    def beat_s(self) -> float | None:
        """When the job last wrote into its report; None before the first time."""
        try:
            return self.report.stat().st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def report(self) -> Path:
        """File that the job reports into."""
        return self.path / "report.jsonl"

    def log(self, rank: int, stream: Stream) -> Path:
        """File that a rank prints to."""
        return self.path / "logs" / f"{rank}.{stream}"


class Spool:
    """Every attempt's directory, under one root."""

    def __init__(self, root: Path) -> None:
        """Name the root; `make` makes it."""
        self.root = root
        self.active = root / "active"
        self.changed = root / "changed"

    def make(self) -> None:
        """Make what must be there before anything is launched."""
        self.active.mkdir(parents=True, exist_ok=True)
        (self.root / "jobs").mkdir(exist_ok=True)
        self.changed.touch()

    def entry(self, attempt: Attempt) -> Entry:
        """Return the directory of an attempt."""
        return Entry(self, attempt)

    def watched(self) -> list[Attempt]:
        """Return the attempts that are observed, in order."""
        return sorted(filter(None, (parse_attempt(one.name) for one in os.scandir(self.active))))

    def workdir(self, job_id: str) -> Path:
        """Return the directory that a job without one of its own works in."""
        return self.root / "jobs" / job_id / "work"

    @property
    def stamp(self) -> float:
        """When a node last said that something has changed."""
        try:
            return self.changed.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def parse_attempt(text: str) -> Attempt | None:
    """Return the attempt that `job_id.number` names; None for other texts."""
    job_id, _, number = text.rpartition(".")
    if not number.isdecimal() or SAFE.fullmatch(job_id) is None:
        return None
    return Attempt(job_id, int(number))


def signed(code: int) -> int:
    """Return an exit code of the shell with a signal as its negative."""
    return _SIGNAL_EXIT - code if _SIGNAL_EXIT < code < 2 * _SIGNAL_EXIT else code


def _rank(text: str | None) -> RankEnding | None:
    """Read the exit code, and of the two lines that `times` prints the children's."""
    lines = (text or "").split("\n")
    if not lines[0].isdecimal():
        return None
    spent = [float(m) * 60 + float(s) for m, s in re.findall(r"(\d+)m([\d.]+)s", lines[-1])]
    return RankEnding(code=signed(int(lines[0])), cpu_s=sum(spent))
