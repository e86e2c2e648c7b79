"""The commands `replay` and `journal`: what a centre wrote down, decided again, and checked."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from clusterwright import client
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit
from clusterwright.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from clusterwright.control.journal import Journal


def replay(
    backup: Path | None = None,
    *,
    state_dir: Path | None = None,
    journal: str = "",
    common: Common | None = None,
) -> int:
    """Let the twin decide again what a centre's journal says; a difference is exit code 1.

    Parameters
    ----------
    backup
        File that `backup` has written; absent, the journal of a centre whose server is down.
    state_dir
        Directory of the journal; absent, the data directory of this user.
    journal
        URL of the journal, where it is not in the state directory.
    """
    from clusterwright.control import replay as twin

    with _opened(backup, state_dir, journal) as source:
        found = twin.replay(source.entries())
    spec = asdict(found)
    document = {"apiVersion": "clusterwright/v1", "kind": "Replay", "spec": spec}
    emit(Answer(document=document, rows=[spec], text=found.text), common or Common())
    return ExitCode.OK if found.difference is None else ExitCode.NO


def journal(
    verb: str,
    backup: Path | None = None,
    *,
    state_dir: Path | None = None,
    journal: str = "",
    common: Common | None = None,
) -> int:
    """Check a centre's journal: every entry against its digest, and the snapshot against them.

    Exit code 1 says that the snapshot says something else than the entries; a damaged entry is
    named, with exit code 3.

    Parameters
    ----------
    verb
        check.
    backup
        File that `backup` has written; absent, the journal of a centre whose server is down.
    state_dir
        Directory of the journal; absent, the data directory of this user.
    journal
        URL of the journal, where it is not in the state directory.
    """
    from clusterwright.control import fold, snapshots

    if verb != "check":
        msg = f"journal {verb}: check"
        raise UsageError(msg)
    with _opened(backup, state_dir, journal) as source:
        count = source.check()
        book = snapshots.newest(source)
        spec = {"num_entries": count, "snapshot": book.seq if book else None, "differs": ""}
        if book is not None:
            for entry in source.entries(book.seq):
                fold.apply(book, entry)
            spec["differs"] = snapshots.differing(book, fold.book_of(source.entries()))
    text = f"{count:,} entries are whole"
    if spec["differs"]:
        text += (
            f", but the snapshot of entry {spec['snapshot']:,} says something else of "
            f"{spec['differs']}; `clusterwright backup` and `restore` leave it behind"
        )
    elif book is not None:
        text += f", and the snapshot of entry {spec['snapshot']:,} says the same"
    document = {"apiVersion": "clusterwright/v1", "kind": "Journal", "spec": spec}
    emit(Answer(document=document, rows=[spec], text=text), common or Common())
    return ExitCode.NO if spec["differs"] else ExitCode.OK


@contextlib.contextmanager
def _opened(backup: Path | None, state_dir: Path | None, url: str) -> "Iterator[Journal]":
    """Open a backup, or the journal of a centre whose server is down."""
    from clusterwright.control.journal import Journal
    from clusterwright.control.server import alone

    if backup is not None:
        if state_dir is not None or url:
            msg = "name a backup, or --state-dir and --journal, not both"
            raise UsageError(msg)
        if not backup.is_file():
            msg = f"{backup} is not there"
            raise UsageError(msg)
        with Journal(str(backup)) as source:
            yield source
        return
    state = (state_dir or client.where("data") / "centre").absolute()
    if not state.is_dir() or not (url or (state / "journal.sqlite").is_file()):
        msg = f"{state} holds no journal; name its directory with --state-dir"
        raise UsageError(msg)
    with alone(state), Journal(url or str(state / "journal.sqlite")) as source:
        yield source
