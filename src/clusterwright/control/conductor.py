"""The live loop: what people ask and the engine sees goes into the journal, then into decisions.

One thread owns the book. Each turn takes what has come, writes down what it means together with
what the scheduler decides, and only then lets anybody act on it: what was not written down has not
happened. Killed at any moment, it reads the journal back and compares it with the engine.
"""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import Histogram
from sqlalchemy.exc import SQLAlchemyError

from clusterwright.control import carry, fold, health, observe, snapshots, watch
from clusterwright.control.book import Book
from clusterwright.control.carrier import Carrier, News, Work
from clusterwright.control.clock import Clock
from clusterwright.control.entries import Entry, Fact
from clusterwright.control.journal import Journal, JournalUnwritable
from clusterwright.control.paces import Paces
from clusterwright.control.proof import Proof
from clusterwright.control.records import AttemptRecord, Record
from clusterwright.engines import Attempt, Engine, Observation
from clusterwright.errors import ClusterwrightError, Conflict
from clusterwright.sched import cycle

_log = logging.getLogger(__name__)
_IDLE_S = 1.0  # without anything to do the loop looks at the clock so often
_TURNS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
_WATCH_S = 1.0  # checkpoints and reports of running jobs are looked at so often
_SNAPSHOT_AT_STOP = 1_000
_GAP_S = 30.0  # not having looked for longer, nobody can say who was silent meanwhile

SNAPSHOT_EVERY = 20_000
"""Entries after which a snapshot is written when nobody waits for the loop; else ten times that."""

Order = Callable[[Book, float], Sequence[Entry]]
View = Callable[[Book, Sequence[Entry]], Any]  # what a caller is to see once it is written down
Listener = Callable[[Sequence[Entry]], None]


@dataclass(slots=True)
class _Asked:
    """Something that somebody has asked for and waits on."""

    order: Order
    view: View
    answer: "Future[Any]"


class Conductor:
    """Runs a centre: journal, book, engine."""

    def __init__(
        self,
        journal: Journal,
        engine: Engine,
        root: Path,
        *,
        book: Book | None = None,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        """Read the journal back; nothing moves before `start`.

        Parameters
        ----------
        journal
            Of this centre; this process is its writer.
        engine
            Carries decisions out.
        root
            Directory for what the centre gives to jobs.
        book
            What the journal comes to, where the caller has read it already.
        snapshot_every
            Entries after which a snapshot of the book is written.

        Raises
        ------
        JournalBroken
            If an entry is torn or altered.
        """
        self.journal, self.engine = journal, engine
        self.places = carry.Places(root)
        self.book = book if book is not None else snapshots.book_of(journal)
        self.clock = Clock(self.book.time_s)
        self.lock = threading.RLock()
        self.deposed = False
        self._stale = False  # the book holds what was not written down
        self.failure = ""  # why nothing can be written down; empty when all is well
        self.seen: Observation | None = None
        self.waiting: dict[Attempt, str] = {}
        self._asked: queue.SimpleQueue[_Asked | News | None] = queue.SimpleQueue()
        self._listeners: list[Listener] = []
        self._wake_s = float("inf")
        self._watched_s = 0.0
        self._paces = Paces()
        self._listened_s = 0.0  # since when reports were looked at without a gap
        self._carrier = Carrier(engine, self._asked.put, every_s=_IDLE_S)
        self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)
        self._stopping = False
        self._snapshot_every = snapshot_every
        self._snapshot_seq = journal.kept_seq  # when one was written or tried last
        self.proof = Proof(journal, journal.kept_seq)
        self.turns = Histogram(
            "clusterwright_schedule_duration_seconds",
            "One turn of the loop, the journal included.",
            buckets=_TURNS_S,
            registry=None,
        )

    def prepare(self, order: Order) -> Sequence[Entry]:
        """Carry an order out before the start: it is written down, nothing is decided on it.

        Raises
        ------
        ClusterwrightError
            What the order raises.
        JournalUnwritable
            If it could not be written down.
        """
        with self.lock:
            return self.journal.append(self._applied(order(self.book, self.clock.now_s())))

    def start(self) -> None:
        """Begin to conduct; the engine is open."""
        self._thread.start()
        self._carrier.start()
        self.proof.start()

    def stop(self) -> None:
        """Stop conducting; what runs goes on, and is found again at the next start."""
        self._stopping = True
        self._asked.put(None)
        self.proof.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
            self._carrier.stop()
        self.engine.close()

    @property
    def stopped(self) -> bool:
        """Return whether it conducts no more, or is about to."""
        return self._stopping

    def ask(self, order: Order, *, timeout_s: float = 30.0) -> Any:
        """Have an order carried out, and return its entries once they are written down.

        Raises
        ------
        ClusterwrightError
            What the order raises; `JournalUnwritable` when it could not be written down.
        TimeoutError
            If the loop did not come to it in time; it may still come to it.
        """
        return self.ask_later(order).result(timeout=timeout_s)

    def ask_later(self, order: Order, view: View = lambda _, entries: entries) -> "Future[Any]":
        """Have an order carried out; the result is there once its entries are written down.

        Parameters
        ----------
        order
            Looks at the book and returns entries.
        view
            Makes the result of the book as it is then, and of the entries with their numbers;
            absent, the entries.
        """
        answer: Future[Any] = Future()
        if self._stopping:
            answer.set_exception(Conflict("the control plane is stopping"))
        else:
            self._asked.put(_Asked(order, view, answer))
        return answer

    @contextlib.contextmanager
    def reading(self) -> Iterator[Book]:
        """Give the book to a reader while nobody changes it.

        Raises
        ------
        JournalUnwritable
            While the journal cannot be read, and so nobody knows what holds.
        """
        with self.lock:
            if self._stale:
                raise JournalUnwritable(self.failure)
            yield self.book

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener every entry once it is written down; return how to end that."""
        with self.lock:
            self._listeners.append(listener)

        def end() -> None:
            with self.lock, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def _run(self) -> None:
        while not self._stopping:
            asked, news = self._next()
            if not self._read_again():
                _refuse(asked, self.failure)
                continue
            try:
                with self.turns.time():
                    self._turn(asked, news)
            except Exception:
                # A fault of ours: what was not written down is forgotten, and the book made anew.
                _log.exception("a turn failed")
                self._start_over("a fault of clusterwright; see the server's log", asked)
            self._keep_snapshot()
        if not self.deposed:
            self._keep_snapshot()

    def _keep_snapshot(self) -> None:
        """Write a snapshot of the book where one is due; what waits for the loop goes first."""
        every = self._snapshot_every
        if self._stopping:
            every = min(every, _SNAPSHOT_AT_STOP)
        elif not self._asked.empty():
            every *= 10
        if self._stale or self.journal.seq < self._snapshot_seq + every:
            return
        self._snapshot_seq = self.journal.seq
        try:
            snapshots.keep(self.journal, self.book)
        except (JournalUnwritable, Conflict) as error:  # nothing hangs on it
            _log.warning("no snapshot: %s", error)

    def _next(self) -> tuple[list[_Asked], News | None]:
        """Wait for something to do, and return all there is: newer news replace older ones."""
        asked: list[_Asked] = []
        news: News | None = None
        pause_s = min(_IDLE_S, max(0.0, self._wake_s - self.clock.now_s()))
        with contextlib.suppress(queue.Empty):
            one = self._asked.get(timeout=pause_s)
            while True:
                if isinstance(one, _Asked):
                    asked.append(one)
                elif one is not None:
                    news = one if news is None else _joined(news, one)
                one = self._asked.get_nowait()
        return asked, news

    def _turn(self, asked: Sequence[_Asked], news: News | None) -> None:
        with self.lock:
            now_s = self.clock.now_s()
            book = self.book
            entries: list[Entry] = []
            answers: list[tuple[_Asked, int, int]] = []
            for one in asked:
                try:
                    wanted = one.order(book, now_s)
                except ClusterwrightError as error:
                    one.answer.set_exception(error)
                    continue
                answers.append((one, len(entries), len(entries) + len(wanted)))
                entries += self._applied(wanted)
            if news is not None:
                entries += self._heard(news, now_s)
            if now_s >= self._wake_s:
                book.state.touched.update(dict.fromkeys(book.state.pools))
            decided = cycle(book.state, book.sched_s(now_s))
            self._wake_s = book.epoch_s + decided.wake_s
            for event in decided.events:
                entry = book.entry(event)
                fold.apply(book, entry, decided=True)
                entries.append(entry)
            work = self._work(entries, now_s)
            try:
                written = self.journal.append(entries)
            except JournalUnwritable as error:
                self._start_over(str(error), asked)
                return
            except Conflict as error:  # another server has taken over: this one must do no more
                self._stopping = True
                self.deposed = True
                self._start_over(str(error), asked)
                return
            self.failure = ""
            results = [(one, one.view(book, written[first:last])) for one, first, last in answers]
        self._publish(written)
        for one, result in results:
            one.answer.set_result(result)
        if work is not None:
            self._carrier.give(work)

    def _applied(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        for entry in entries:
            fold.apply(self.book, entry)
        return entries

    def _heard(self, news: News, now_s: float) -> list[Entry]:
        """Take note of what the engine sees, and of what jobs have left on disk."""
        book = self.book
        entries: list[Entry] = []
        if news.out_of_reach != book.reach:
            body = {"reach": not news.out_of_reach, "message": news.out_of_reach}
            entries += self._applied([Entry(now_s, Fact.ENGINE, body=body)])
        jump_s = self.clock.jump_s()
        if jump_s:
            entries += self._applied([Entry(now_s, Fact.CLOCK, body={"jump_s": jump_s})])
        for attempt, why in news.refused:
            entries += self._applied(observe.never_started(book, attempt, why, now_s))
        for attempt in news.fenced:
            entries += self._applied(observe.fenced(book, attempt, now_s))
        if news.seen is None:
            return entries
        self.seen = news.seen
        entries += self._watched(news, now_s)
        entries += self._applied(observe.facts(book, news.seen, now_s))
        silences = health.silences(book, news.seen.attempts, self._listened_s, now_s)
        entries += self._applied(silences)
        return entries

    def _watched(self, news: News, now_s: float) -> list[Entry]:
        """Look at what jobs left on disk: now and then, and before an end is taken note of."""
        assert news.seen is not None
        book = self.book
        ending = {one.attempt for one in news.seen.attempts if one.phase in observe.OVER} & set(
            book.live
        )
        due = now_s - self._watched_s >= _WATCH_S
        if due:
            if now_s - self._watched_s > _GAP_S:
                self._listened_s = now_s
            self._watched_s = now_s
        mine = [
            one.attempt
            for one in news.seen.attempts
            if one.attempt in book.live and (due or one.attempt in ending)
        ]
        entries = watch.saved(book, self.places, mine, now_s)
        paths = {one: news.reports[one] for one in mine if one in news.reports}
        entries += watch.reported(book, paths, now_s, self._paces)
        entries = list(self._applied(entries))
        entries += self._applied(self._paces.found(book, now_s))
        if due:
            ends = health.unused(book, news.seen.attempts, self._files_of, now_s)
            entries += self._applied(ends)
        return entries

    def _files_of(self, record: Record, known: AttemptRecord) -> Iterator[Path]:
        """Yield the files that an attempt writes into."""
        ranks = len(known.shares) * record.spec.num_tasks_per_node
        paths = [self.engine.report_path(known.attempt)]
        for rank in range(ranks):
            paths.append(self.engine.log_path(known.attempt, rank, "out"))
            paths.append(self.engine.log_path(known.attempt, rank, "err"))
        yield from (path for path in paths if path is not None)

    def _work(self, entries: list[Entry], now_s: float) -> Work | None:
        """Return what the engine must do; first launches are written down with the rest."""
        if self.seen is None:
            return None
        book = self.book
        todo = carry.todo(book, self.seen)
        self.waiting = todo.waiting
        launches = []
        for attempt in todo.launch:
            record = book.jobs[attempt.job_id]
            known = record.attempts[attempt.number - 1]
            try:
                secrets = carry.secrets_of(record, self.places)
            except LookupError as error:
                entries += self._applied(
                    observe.never_started(book, attempt, str(error.args[0]), now_s)
                )
                continue
            if known.asked_s is None:
                # All before it has ended by now, so what is newest stays the newest.
                entries += self._applied(watch.saved(book, self.places, [attempt], now_s))
                body = {"attempt": attempt.number, "resume_from": record.checkpoint_path}
                entries += self._applied([Entry(now_s, Fact.LAUNCH, record.job_id, body=body)])
            launches.append(carry.order(book, record, known, self.places, secrets))
        stops = []
        for attempt in todo.stop:
            record = book.jobs[attempt.job_id]
            stops.append((attempt, carry.stop_of(record, record.attempts[attempt.number - 1])))
        return Work(
            launch=tuple(launches),
            stop=tuple(stops),
            fence=tuple(todo.fence),
            forget=tuple(todo.forget),
            drain=tuple((node, book.drained[node]) for node in todo.drain),
            undrain=tuple(todo.undrain),
        )

    def _publish(self, written: Sequence[Entry]) -> None:
        if not written:
            return
        for listener in tuple(self._listeners):
            try:
                listener(written)
            except Exception:  # what is written down holds, whatever a listener makes of it
                _log.exception("a listener failed")

    def _start_over(self, why: str, asked: Sequence[_Asked]) -> None:
        """Forget what could not be written down: the journal alone counts."""
        self.failure = why
        _log.error("nothing was written down: %s", why)
        _refuse(asked, why)
        self._stale = True
        self._read_again()

    def _read_again(self) -> bool:
        """Make the book anew from the journal where it holds what was not written down.

        Returns
        -------
        bool
            False while the journal cannot be read; nothing is decided or shown meanwhile.
        """
        if not self._stale:
            return True
        try:
            with self.lock:
                self.book = snapshots.book_of(self.journal)
                self._wake_s = self.clock.now_s() + _IDLE_S
                self._stale = False
        except (ClusterwrightError, SQLAlchemyError) as error:
            self.failure = f"the journal cannot be read: {error}".splitlines()[0]
            return False
        return True


def _refuse(asked: Sequence[_Asked], why: str) -> None:
    for one in asked:
        if not one.answer.done():
            one.answer.set_exception(JournalUnwritable(f"{why}; nothing was changed"))


def _joined(older: News, newer: News) -> News:
    return News(
        seen=newer.seen,
        reports=newer.reports,
        fenced=(*older.fenced, *newer.fenced),
        refused=(*older.refused, *newer.refused),
        out_of_reach=newer.out_of_reach,
    )
