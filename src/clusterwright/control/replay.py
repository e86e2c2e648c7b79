"""Whether the twin, given a journal, decides what the live centre decided: same jobs, same order.

What came from outside (submissions, ends, lost nodes, orders of people, changes of the centre) is
taken from the journal, and so are the times at which the live loop looked. What the scheduler made
of it is decided anew and held against what is written, entry by entry.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterwright.control import fold
from clusterwright.control.book import Book
from clusterwright.control.entries import SCHEDULING, Entry, Fact
from clusterwright.engines import Attempt, End
from clusterwright.model.event import EventKind
from clusterwright.sched import cycle

_SAME_TURN_S = 5e-7  # turns are a microsecond apart at least, see `clock`
_IDLE_S = 1.0  # the live loop may be so late for a time that it meant to look at
_ALWAYS = {EventKind.START, EventKind.PREEMPT, EventKind.RESIZE, EventKind.DEFER}
_UNASKED = {EventKind.HOLD, EventKind.RELEASE, EventKind.RELEASE_BY_ADMIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place at which the twin decides something else."""

    seq: int
    """Number of the journal's entry, or of the last one before it."""
    live: str
    """What the journal says; empty when it decides nothing there."""
    twin: str
    """What the twin decides; empty when it decides nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of playing a journal again."""

    num_entries: int
    """Entries that were played."""
    num_decisions: int
    """Decisions that the twin made as the journal has them, in their order."""
    difference: Difference | None
    """The first difference, at which the replay ended; None when there is none."""

    @property
    def text(self) -> str:
        """Return it in a sentence for people."""
        if self.difference is None:
            return f"the twin, given the journal, decides the same {self.num_decisions:,} times"
        one = self.difference
        return (
            f"entry {one.seq:,}: the journal says {one.live or 'nothing'}, the twin "
            f"{one.twin or 'nothing'} ({self.num_decisions:,} decisions before it are the same)"
        )


def replay(entries: Iterable[Entry]) -> Replay:
    """Play a journal from its first entry; end at the first difference.

    Parameters
    ----------
    entries
        All entries of a journal, in their order.
    """
    player = _Player()
    for turn in _turns(entries):
        difference = player.play(turn)
        if difference is not None:
            return Replay(
                num_entries=len(player.played),
                num_decisions=player.num_decisions,
                difference=difference,
            )
    return Replay(
        num_entries=len(player.played), num_decisions=player.num_decisions, difference=None
    )


def is_decision(entry: Entry) -> bool:
    """Return whether the scheduler decided an entry, rather than a person or the engine."""
    kind = SCHEDULING.get(entry.kind)
    return kind in _ALWAYS or (kind in _UNASKED and not entry.who)


class _Player:
    """A book that decides for itself, beside the journal that it is given."""

    def __init__(self) -> None:
        self.book = Book()
        self.played: list[Entry] = []
        self.num_decisions = 0
        self.wake_s = float("inf")

    def play(self, turn: Sequence[Entry]) -> Difference | None:
        """Play one turn of the live loop."""
        before, decisions, after = self._parts(turn)
        self._look(turn[0].time_s)
        for entry in before:
            self._take(entry)
        if all(one.kind in (Fact.CENTRE, Fact.TOKEN) and not one.who for one in turn):
            return None  # a server that starts writes these down before it looks at anything
        if not before or turn[0].time_s >= self.wake_s:  # time alone, or a restart, had it look
            pools = self.book.state.pools
            self.book.state.touched.update(dict.fromkeys(pools))
        difference = self._decide(turn[0].time_s, decisions)
        for entry in after:
            self._take(entry)
        return difference

    def _parts(self, turn: Sequence[Entry]) -> tuple[list[Entry], list[Entry], list[Entry]]:
        """Return what came before the decisions of a turn, these, and what came of them."""
        before: list[Entry] = []
        decisions: list[Entry] = []
        after: list[Entry] = []
        for entry in turn:
            if is_decision(entry):
                decisions.append(entry)
            elif decisions or after or entry.kind == Fact.LAUNCH or self._never_asked(entry):
                after.append(entry)
            else:
                before.append(entry)
        return before, decisions, after

    def _never_asked(self, entry: Entry) -> bool:
        """Return whether an attempt ends that was decided, but that no engine was asked for."""
        if entry.kind != Fact.ENDED or entry.body["end"] != End.NOT_STARTED:
            return False
        known = self.book.attempt(Attempt(entry.job, entry.body["attempt"]))
        return known is not None and known.asked_s is None

    def _look(self, until_s: float) -> None:
        """Look at the times that the scheduler asked for, and at which the live one saw no need.

        The live loop may have been late, or down, and have decided only later: then its book is
        as it was read back, and the turn that follows decides.
        """
        while self.wake_s < until_s - _IDLE_S:
            book, time_s = self.book, self.wake_s
            book.state.touched.update(dict.fromkeys(book.state.pools))
            found = cycle(book.state, book.sched_s(time_s))
            if found.events:
                self.book = fold.book_of(self.played)
                return
            wake_s = book.epoch_s + found.wake_s
            self.wake_s = wake_s if wake_s > time_s else float("inf")

    def _decide(self, time_s: float, written: Sequence[Entry]) -> Difference | None:
        book = self.book
        before = self.played[-1].seq if self.played else 0
        found = cycle(book.state, book.sched_s(time_s))
        self.wake_s = book.epoch_s + found.wake_s
        made: list[Entry] = []
        for event in found.events:
            entry = book.entry(event)
            at = len(made)
            live = written[at] if at < len(written) else None
            if live is None or _said(live) != _said(entry):
                seq = before if live is None else live.seq
                return Difference(
                    seq=seq, live="" if live is None else _said(live), twin=_said(entry)
                )
            made.append(live)
            self._take(live, decided=True)
            self.num_decisions += 1
        if len(made) < len(written):
            missing = written[len(made)]
            return Difference(seq=missing.seq, live=_said(missing), twin="")
        return None

    def _take(self, entry: Entry, *, decided: bool = False) -> None:
        fold.apply(self.book, entry, decided=decided)
        self.played.append(entry)


def _turns(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the entries of each turn of the live loop: those of one moment."""
    turn: list[Entry] = []
    for entry in entries:
        if turn and entry.time_s - turn[0].time_s > _SAME_TURN_S:
            yield turn
            turn = []
        turn.append(entry)
    if turn:
        yield turn


def _said(entry: Entry) -> str:
    """Return a decision in words: what, which job, on which nodes."""
    words = [entry.kind, *filter(None, (entry.job, entry.node))]
    body = entry.body
    if "nodes" in body:
        words.append("on " + " ".join(f"{name}:{quanta}" for name, quanta in body["nodes"]))
    if "part" in body:
        words.append(f"part {body['part']}")
    return " ".join(words)
