"""The control plane under load: submissions, long lists, many followers, starts.

A real server and a real local engine on this machine, asked over HTTP by this process. Run alone:
`python benchmarks/control.py [restart|submit|list|follow|start]`; a shared machine needs longer.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from clusterwright import documents
from clusterwright.client import Client, Context
from clusterwright.control import fold, orders, snapshots
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry
from clusterwright.control.journal import Journal
from clusterwright.model.centre import Centre, Nodes
from clusterwright.model.jobspec import JobSpec
from clusterwright.sched import cycle

SUBMITS, AT_ONCE = 3000, 64
LISTED = 10_000
FOLLOWERS, LINES = 1000, 20
STARTS = 40


class Server:
    """A server of its own, with emulated nodes."""

    def __init__(self, nodes: int, gpus: int, *, queued: int = 0) -> None:
        """Start it with emulated nodes, or on a journal with jobs that wait."""
        self.folder = tempfile.TemporaryDirectory(prefix="clusterwright-bench-")
        self.state = Path(self.folder.name) / "state"
        if queued:
            fill(self.state, queued)
        words = [sys.executable, "-m", "clusterwright", "up", "--foreground"]
        words += ["--listen", "127.0.0.1:0", "--state-dir", str(self.state)]
        words += [] if queued else ["--nodes", str(nodes), "--gpus-per-node", str(gpus)]
        log = os.open(Path(self.folder.name) / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        self.pid = os.posix_spawn(
            sys.executable,
            words,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
        )
        while not (self.state / "server.json").exists():
            time.sleep(0.05)
        self.url = json.loads((self.state / "server.json").read_text())["url"]
        self.token = (self.state / "token").read_text().strip()

    def __enter__(self) -> "Server":
        """Return the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and its agents."""
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        from clusterwright.engines.local import LocalEngine

        LocalEngine(self.state / "engine").shut_down()
        self.folder.cleanup()

    def client(self) -> Client:
        """Return a client with the token of its administrator."""
        return Client(Context(name="bench", url=self.url, token=f"file:{self.state / 'token'}"))

    def http(self, connections: int) -> httpx.AsyncClient:
        """Return a client for many requests at once."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=120,
            limits=limits,
            trust_env=False,
        )


def fill(state: Path, count: int) -> None:
    """Write a journal with jobs that wait in it."""
    state.mkdir(mode=0o700)
    with Journal(str(state / "journal.sqlite")) as journal:
        book, now_s = Book(), time.time()
        nodes = (Nodes(name="node", num_gpus=1),)
        entries = orders.begin(Centre(nodes=nodes), now_s)
        fold.apply(book, entries[0])
        spec = JobSpec(name="bench", command=("sleep", "600"), gpus_per_node_ratio=1.0)
        for _ in range(count):
            made = orders.submit(book, spec, now_s, "admin")
            fold.apply(book, made[0])
            entries += made
        journal.append(entries)


def body(**more: object) -> bytes:
    spec = JobSpec(name="bench", command=("sleep", "600"), **more)  # type: ignore[arg-type]  # fields of a job
    return json.dumps(documents.as_dict(spec)).encode()


async def submissions(server: Server, count: int) -> float:
    """Submit jobs over several connections, and return the seconds until all are journalled.

    The requests are written by hand: a client library would take more of the two cores than the
    server that is measured.
    """
    content = body(gpus_per_node_ratio=1.0)
    url = httpx.URL(server.url)
    head = (
        f"POST /api/v1/jobs HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {server.token}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    request, left = head.encode() + content, iter(range(count))

    async def one() -> None:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        for _ in left:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 201"), answer
            length = next(
                line for line in answer.lower().split(b"\r\n") if b"content-length" in line
            )
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return time.perf_counter() - begun


def submit() -> dict[str, float]:
    with Server(1, 1) as server:
        took = asyncio.run(submissions(server, SUBMITS))
    return {"submits_per_s": SUBMITS / took}


def listing() -> dict[str, float]:
    with Server(1, 1, queued=LISTED + 1) as server, server.client() as client:
        took = []
        for _ in range(7):
            begun = time.perf_counter()
            page = client.get("/jobs", active="true", limit=10_000)
            took.append(time.perf_counter() - begun)
            assert len(page["items"]) == LISTED
    return {"list_10000_best_s": min(took), "list_10000_median_s": statistics.median(took)}


async def followers(server: Server, job: str) -> float:
    """Let many follow one log, and return the seconds from the last line to the last reader."""
    ends: list[float] = []
    async with server.http(FOLLOWERS) as client:

        async def one() -> None:
            lines = 0
            path = f"/api/v1/jobs/{job}/logs?follow=true"
            async with client.stream("GET", path) as answer:
                assert answer.status_code == 200, await answer.aread()
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        lines += line.count("\\n")
                    if line.startswith("event: end"):
                        break
            assert lines == LINES, lines
            ends.append(time.time())

        await asyncio.gather(*(one() for _ in range(FOLLOWERS)))
    return max(ends)


def follow() -> dict[str, float]:
    with Server(1, 1) as server, server.client() as client:
        command = f"sleep 8; for i in $(seq {LINES}); do echo line $i; sleep 0.2; done"
        spec = JobSpec(name="talk", command=command, gpus_per_node_ratio=1.0)
        job = client.submit(spec)["spec"]["job_id"]
        while client.job(job)["spec"]["state"] != "RUNNING":
            time.sleep(0.02)
        last = asyncio.run(followers(server, job))
        from datetime import datetime

        ended = client.job(job)["spec"]["attempts"][-1]["ended"]
        late = last - datetime.fromisoformat(ended).timestamp()
    return {"followers": FOLLOWERS, "last_line_late_s": late}


def start() -> dict[str, float]:
    took = []
    with Server(2, 4) as server, server.client() as client:
        for _ in range(STARTS):
            begun = time.time()
            spec = JobSpec(
                name="start", command="date +%s.%N", gpus_per_node_ratio=2.0, num_nodes=2
            )
            job = client.submit(spec)["spec"]["job_id"]
            client.wait(job)
            took.append(float(client.log(job, rank=3).split()[0]) - begun)
    took.sort()
    return {"start_p50_s": statistics.median(took), "start_p95_s": took[int(0.95 * len(took))]}


def restart() -> dict[str, float]:
    """Read journals back, with and without a snapshot; seconds."""
    found: dict[str, float] = {}
    for count, lines in ((20_000, 2), (2_000, 200)):
        with (
            tempfile.TemporaryDirectory(prefix="clusterwright-bench-") as folder,
            Journal(str(Path(folder) / "journal.sqlite")) as journal,
        ):
            past(journal, count, lines)
            name = f"{journal.seq:,} entries"
            found[name] = _read_back_s(journal)
            book = snapshots.book_of(journal)
            begun_s = time.perf_counter()
            snapshots.keep(journal, book)
            found[f"{count:,} jobs written"] = time.perf_counter() - begun_s
            del book
            found[f"{count:,} jobs from it"] = _read_back_s(journal)
    return found


def _read_back_s(journal: Journal) -> float:
    begun_s = time.perf_counter()
    snapshots.book_of(journal)
    return time.perf_counter() - begun_s


def past(journal: Journal, count: int, lines: int) -> None:
    """Write a journal of jobs that ran one after the other and reported."""
    book, now_s = Book(), time.time()
    entries: list[Entry] = []

    def take(made: Sequence[Entry], *, decided: bool = False) -> None:
        for entry in made:
            fold.apply(book, entry, decided=decided)
            entries.append(entry)

    take(orders.begin(Centre(nodes=(Nodes(name="node", num_gpus=1),)), now_s))
    spec = JobSpec(name="bench", command=("sleep", "600"), gpus_per_node_ratio=1.0)
    for _ in range(count):
        now_s += 1.0
        take(orders.submit(book, spec, now_s, "admin"))
        job = entries[-1].job
        for event in cycle(book.state, book.sched_s(now_s)).events:
            take([book.entry(event)], decided=True)
        told = {"attempt": 1, "tokens": 100.0}
        take(
            [
                Entry(now_s, "launch", job, body={"attempt": 1, "resume_from": ""}),
                Entry(now_s, "running", job, body={"attempt": 1, "started_s": now_s}),
                *(
                    Entry(now_s, "progress", job, body={**told, "step": step, "offset": step})
                    for step in range(lines)
                ),
                Entry(
                    now_s, "ended", job, body={"attempt": 1, "end": "completed", "ended_s": now_s}
                ),
                Entry(now_s, "finish", job),
            ]
        )
    journal.append(entries)


WORDS = {"restart": restart, "submit": submit, "list": listing, "follow": follow, "start": start}


if __name__ == "__main__":
    for word in sys.argv[1:] or WORDS:
        for name, value in WORDS[word]().items():
            print(f"{word:8} {name:20} {value:.4g}", flush=True)
