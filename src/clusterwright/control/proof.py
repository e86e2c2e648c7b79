"""A check, beside the work, of the entries that a restart from a snapshot has not read."""

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from clusterwright.control.journal import Journal, JournalBroken

_log = logging.getLogger(__name__)
_PAGE = 2000
_REST = 4.0  # times as long as it works; the loop goes first


class Proof:
    """Reads the entries up to one against their digests, at leisure."""

    def __init__(self, journal: Journal, until: int) -> None:
        """Take the journal, and the last entry to be checked; nothing is read before `start`."""
        self.damage = ""
        """The first entry that is wrong; empty while none is known."""
        self.checked = 0
        """How many entries have been checked."""
        self._journal, self._until = journal, until
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proof", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        if self._until:
            self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        begun_s = time.monotonic()
        try:
            for entry in self._journal.entries():
                self.checked = entry.seq
                if entry.seq >= self._until:
                    return
                if entry.seq % _PAGE == 0:
                    if self._end.wait(_REST * (time.monotonic() - begun_s)):
                        return
                    begun_s = time.monotonic()
        except JournalBroken as error:
            self.damage = str(error)
            _log.error(
                "the centre goes on from its snapshot, but its history is damaged: %s", error
            )
        except SQLAlchemyError as error:  # the database is away: the next start checks again
            _log.warning("the journal could not be checked to its end: %s", error)
