"""The journal: an append-only list of entries in SQLite or PostgreSQL, chained by digests.

Each entry carries the digest of itself and of the one before, so that a torn or altered row is
found and named. A journal has one writer at a time: whoever opens it starts a new term, and an
older writer's next append is refused.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event

from clusterwright.control.entries import Entry
from clusterwright.errors import ClusterwrightError, Conflict, ExitCode

_PAGE = 2000  # rows read at a time
_ENTRIES = sa.table(
    "entries",
    *(sa.column(name) for name in ("seq", "time_s", "kind", "job", "node", "body", "who", "chain")),
)
_PICTURES = sa.table("pictures", *map(sa.column, ("seq", "time_s", "form", "body", "digest")))
_JOBS = sa.table("snapshot_jobs", *map(sa.column, ("job", "body", "digest")))
_TERM = sa.table("term", sa.column("one"), sa.column("number"))
_COLUMNS = tuple(_ENTRIES.c)


class JournalBroken(ClusterwrightError):
    """The journal says what cannot be; the message names the first entry that is wrong."""

    exit_code = ExitCode.TARGET

    def __init__(self, what: str) -> None:
        """Say what is wrong, and how a backup takes the place of a damaged journal."""
        super().__init__(
            f"{what}; where it is damaged, set it aside, and `clusterwright restore BACKUP` "
            "writes a backup into a new one"
        )


class JournalUnwritable(ClusterwrightError):
    """Nothing can be written down now; nothing has been."""

    exit_code = ExitCode.TRY_LATER


class Journal:
    """An open journal, with this process as its writer."""

    def __init__(self, url: str) -> None:
        """Open a journal, making or migrating it where needed, and begin a new term.

        Parameters
        ----------
        url
            A path of a SQLite file, or a URL of SQLAlchemy such as
            `postgresql+psycopg://user@host/name`.

        Raises
        ------
        JournalBroken
            If it cannot be opened, or its last entry is torn.
        """
        self.url = url if "://" in url else f"sqlite:///{Path(url).absolute()}"
        self._engine = _connected(self.url)
        try:
            with self._engine.begin() as connection:
                _migrate(connection)
                self.term = _next_term(connection)
                last = connection.execute(
                    sa.select(*_COLUMNS).order_by(_ENTRIES.c.seq.desc()).limit(2)
                ).all()
                kept = connection.execute(sa.select(_PICTURES.c.seq)).scalar()
        except sa.exc.DBAPIError as error:
            msg = f"the journal {self.url_shown} cannot be opened: {_cause(error)}"
            raise JournalBroken(msg) from error
        self.kept_seq = int(kept or 0)
        """Number of the last entry in the snapshot; 0 where there is none that counts."""
        self.seq = last[0].seq if last else 0
        self._chain = last[0].chain if last else ""
        self.last_s = last[0].time_s if last else 0.0
        if last and _chain(last[1].chain if len(last) > 1 else "", last[0]) != self._chain:
            msg = f"entry {self.seq} of the journal {self.url_shown} is torn or was altered"
            raise JournalBroken(msg)

    @property
    def url_shown(self) -> str:
        """Return the URL without its password."""
        return sa.make_url(self.url).render_as_string(hide_password=True)

    def append(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write entries down, all or none of them, and return them with their numbers.

        Raises
        ------
        JournalUnwritable
            If they cannot be written: the disk is full, the database does not answer.
        Conflict
            If another process has opened the journal since.
        """
        rows, numbered, chain = [], [], self._chain
        for number, entry in enumerate(entries, self.seq + 1):
            body = json.dumps(dict(entry.body), separators=(",", ":"), sort_keys=True)
            fresh = entry._replace(seq=number)
            chain = _digest(chain, fresh, body)
            rows.append({**fresh._asdict(), "body": body, "chain": chain})
            numbered.append(fresh)
        if not rows:
            return []
        try:
            with self._engine.begin() as connection:
                # The row of the term is locked until the end, so that two writers cannot cross.
                self._claim(connection)
                connection.execute(sa.insert(_ENTRIES), rows)
        except sa.exc.DBAPIError as error:
            msg = f"the journal {self.url_shown} cannot be written: {_cause(error)}"
            raise JournalUnwritable(msg) from error
        self.seq, self._chain, self.last_s = numbered[-1].seq, chain, numbered[-1].time_s
        return numbered

    def entries(self, after: int = 0, *, job: str = "", limit: int = 0) -> Iterator[Entry]:
        """Yield the entries after a number, in order, each checked against its digest.

        With `job` only those about one job; these are not checked, as the chain skips them.

        Raises
        ------
        JournalBroken
            At the first entry that is torn, altered or missing.
        """
        chain = ""
        if not job:
            with self._engine.connect() as connection:
                chain = self._chain_at(after, connection)
        last, given = after, 0
        while True:
            query = sa.select(*_COLUMNS).where(_ENTRIES.c.seq > last).order_by(_ENTRIES.c.seq)
            if job:
                query = query.where(_ENTRIES.c.job == job)
            with self._engine.connect() as connection:
                rows = connection.execute(query.limit(_PAGE)).all()
            for row in rows:
                if not job:
                    if row.seq != last + 1:
                        msg = f"entry {last + 1} of the journal {self.url_shown} is missing"
                        raise JournalBroken(msg)
                    if _chain(chain, row) != row.chain:
                        msg = f"entry {row.seq} of the journal {self.url_shown} is torn or altered"
                        raise JournalBroken(msg)
                    chain = row.chain
                last = row.seq
                yield _entry(row)
                given += 1
                if given == limit:
                    return
            if len(rows) < _PAGE:
                return

    def check(self) -> int:
        """Read the whole journal, and return how many entries stand in it.

        Raises
        ------
        JournalBroken
            At the first entry that is torn, altered or missing, or if the file itself is damaged.
        """
        try:
            if self._engine.dialect.name == "sqlite":
                with self._engine.connect() as connection:
                    found = connection.execute(sa.text("PRAGMA integrity_check")).scalars().all()
                if found != ["ok"]:
                    msg = f"the journal {self.url_shown} is damaged: {found[0]}"
                    raise JournalBroken(msg)
            return sum(1 for _ in self.entries())
        except sa.exc.DBAPIError as error:
            msg = f"the journal {self.url_shown} is damaged: {_cause(error)}"
            raise JournalBroken(msg) from error

    def keep(
        self,
        seq: int,
        time_s: float,
        form: str,
        body: str,
        jobs: Iterable[tuple[str, str]],
        *,
        anew: bool,
    ) -> None:
        """Write a snapshot down in the place of the one before.

        Parameters
        ----------
        seq, time_s
            The last entry in it.
        form
            The code that made it.
        body
            What it says of everything but jobs.
        jobs
            Name and text of each job that has changed since the last one.
        anew
            Whether these are all jobs there are.

        Raises
        ------
        JournalUnwritable
            If it cannot be written.
        Conflict
            If another process has opened the journal since.
        """
        rows = [{"job": job, "body": text, "digest": _short(job, text)} for job, text in jobs]
        try:
            with self._engine.begin() as connection:
                self._claim(connection)
                chain = self._chain_at(seq, connection)
                head = {"seq": seq, "time_s": time_s, "form": form, "body": body}
                digest = _short(chain, *map(str, head.values()))
                connection.execute(sa.delete(_PICTURES))
                connection.execute(sa.insert(_PICTURES), {**head, "digest": digest})
                old = sa.delete(_JOBS)
                if anew:
                    connection.execute(old)
                elif rows:
                    connection.execute(
                        old.where(_JOBS.c.job == sa.bindparam("name")),
                        [{"name": row["job"]} for row in rows],
                    )
                if rows:
                    connection.execute(sa.insert(_JOBS), rows)
        except sa.exc.DBAPIError as error:
            msg = f"no snapshot can be written into {self.url_shown}: {_cause(error)}"
            raise JournalUnwritable(msg) from error
        self.kept_seq = seq

    def kept(self, form: str) -> tuple[int, float, str, list[tuple[str, str]]] | None:
        """Return the snapshot: last entry, its time, text, and name and text of each job.

        None where there is none of that form, or it is damaged.

        Raises
        ------
        JournalBroken
            If its last entry is missing, or is no more what it was.
        """
        with self._engine.connect() as connection:
            head = connection.execute(sa.select(*_PICTURES.c)).first()
            if head is None or head.form != form:
                return None
            chain = self._chain_at(head.seq, connection)
            digest = _short(chain, str(head.seq), str(head.time_s), head.form, head.body)
            rows = connection.execute(sa.select(*_JOBS.c)).all()
        if digest != head.digest or any(one.digest != _short(one.job, one.body) for one in rows):
            return None
        return int(head.seq), float(head.time_s), head.body, [(one.job, one.body) for one in rows]

    def backup(self, path: Path) -> int:
        """Copy the journal into a new SQLite file, and return how many entries it has.

        Raises
        ------
        Conflict
            If the file is there already.
        """
        if path.exists():
            msg = f"{path} is there already; name another file"
            raise Conflict(msg)
        other = Journal(str(path))
        try:
            count = copy(self, other)
        finally:
            other.close()
        return count

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the database."""
        self.close()

    def _claim(self, connection: sa.Connection) -> None:
        """Lock the row of the term, which shows that this process is the writer still."""
        mine = connection.execute(
            sa.update(_TERM).where(_TERM.c.number == self.term).values(number=self.term)
        )
        if mine.rowcount != 1:
            msg = f"another process has opened the journal {self.url_shown}; this one stops"
            raise Conflict(msg)

    def _chain_at(self, seq: int, connection: sa.Connection) -> str:
        if not seq:
            return ""
        query = sa.select(_ENTRIES.c.chain).where(_ENTRIES.c.seq == seq)
        found = connection.execute(query).scalar()
        if found is None:
            msg = f"entry {seq} of the journal {self.url_shown} is missing"
            raise JournalBroken(msg)
        return str(found)


def copy(source: Journal, target: Journal) -> int:
    """Write every entry of a journal into an empty one, and return how many there are.

    Raises
    ------
    Conflict
        If the target has entries.
    """
    if target.seq:
        msg = f"{target.url_shown} holds {target.seq:,} entries already; name an empty one"
        raise Conflict(msg)
    batch: list[Entry] = []
    for entry in source.entries():
        batch.append(entry)
        if len(batch) == _PAGE:
            target.append(batch)
            batch.clear()
    target.append(batch)
    return target.seq


def _connected(url: str) -> sa.Engine:
    if sa.make_url(url).get_backend_name() == "postgresql":
        # A server of any encoding gives texts; a connection that broke is replaced, not used.
        return sa.create_engine(url, connect_args={"client_encoding": "utf8"}, pool_pre_ping=True)
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _make_durable)
    return engine


def _make_durable(connection: sqlite3.Connection, _: object) -> None:
    # FULL: what has been answered as accepted is on the disk, also after a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _next_term(connection: sa.Connection) -> int:
    query = sa.select(_TERM.c.number)
    if connection.dialect.name != "sqlite":
        query = query.with_for_update()
    now = connection.execute(query).scalar()
    if now is None:
        connection.execute(sa.insert(_TERM), {"one": 1, "number": 1})
        return 1
    connection.execute(sa.update(_TERM).values(number=int(now) + 1))
    return int(now) + 1


def _entry(row: Any) -> Entry:  # a row of SQLAlchemy has its columns as attributes
    return Entry(
        row.time_s, row.kind, row.job, row.node, json.loads(row.body), row.who, int(row.seq)
    )


def _chain(before: str, row: Any) -> str:  # as above
    entry = Entry(row.time_s, row.kind, row.job, row.node, {}, row.who, int(row.seq))
    return _digest(before, entry, row.body)


def _digest(before: str, entry: Entry, body: str) -> str:
    parts = (before, entry.seq, entry.time_s.hex(), entry.kind, entry.job, entry.node, body)
    text = json.dumps((*parts, entry.who), separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _short(*texts: str) -> str:
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


def _cause(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else str(error)
