"""The command `replay`: a journal, decided again in the twin."""

from dataclasses import asdict
from pathlib import Path

from clusterwright import client
from clusterwright.cli.common import Common
from clusterwright.cli.output import Answer, emit
from clusterwright.errors import ExitCode, UsageError


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
    from clusterwright.control.journal import Journal
    from clusterwright.control.server import alone

    if backup is not None:
        if state_dir is not None or journal:
            msg = "name a backup, or --state-dir and --journal, not both"
            raise UsageError(msg)
        if not backup.is_file():
            msg = f"{backup} is not there"
            raise UsageError(msg)
        with Journal(str(backup)) as source:
            found = twin.replay(source.entries())
    else:
        state = (state_dir or client.where("data") / "centre").absolute()
        if not state.is_dir() or not (journal or (state / "journal.sqlite").is_file()):
            msg = f"{state} holds no journal; name its directory with --state-dir"
            raise UsageError(msg)
        with alone(state), Journal(journal or str(state / "journal.sqlite")) as source:
            found = twin.replay(source.entries())
    spec = asdict(found)
    document = {"apiVersion": "clusterwright/v1", "kind": "Replay", "spec": spec}
    emit(Answer(document=document, rows=[spec], text=found.text), common or Common())
    return ExitCode.OK if found.difference is None else ExitCode.NO
