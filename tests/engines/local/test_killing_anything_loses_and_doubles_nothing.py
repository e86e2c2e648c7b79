"""Servers, agents and tasks are killed at random while gangs run; in the end each ran once."""

import collections
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.engines.local.driver import NODES

from clusterwright.engines.local import LocalEngine

ROOT = Path(__file__).parents[3]
# A longer hunt: CLUSTERWRIGHT_TEST_KILLS=200, _SEED=1, _CGROUPS=on
NUM_KILLS = int(os.environ.get("CLUSTERWRIGHT_TEST_KILLS", "50"))
SEED = int(os.environ.get("CLUSTERWRIGHT_TEST_SEED", "4711"))
NUM_JOBS = max(6, NUM_KILLS // 6)
PATIENCE_S = 60.0 + NUM_KILLS


def start_server(root, folder):
    words = [sys.executable, "-m", "tests.engines.local.driver", root, folder, NUM_JOBS]
    with (folder / "server.log").open("a") as log:
        return subprocess.Popen(list(map(str, words)), cwd=ROOT, stdout=log, stderr=log)


def agents(root):
    found = []
    for about in (root / "nodes").glob("*/agent.json"):
        with contextlib.suppress(FileNotFoundError):
            found.append(int(json.loads(about.read_text())["id"].split(":")[1]))
    return [pid for pid in found if b"boot.py" in command(pid)]


def tasks(folder):
    every = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in every if f"counting_task.py\0{folder}".encode() in command(pid)]


def command(pid):
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def kill(pids, chance):
    if pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)


def test_every_job_ends_once_whatever_is_killed(tmp_path):
    root, folder = tmp_path / "engine", tmp_path / "seen"
    folder.mkdir()
    chance = random.Random(SEED)
    server = start_server(root, folder)
    victims = {"agent": lambda: agents(root), "task": lambda: tasks(folder)}
    deadline = time.monotonic() + PATIENCE_S
    kills = 0
    try:
        while not (folder / "through").exists():
            assert time.monotonic() < deadline, (folder / "server.log").read_text()[-4000:]
            if server.poll() is not None:
                assert server.returncode in {-signal.SIGKILL, 0}, (
                    folder / "server.log"
                ).read_text()
                server = start_server(root, folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(chance.uniform(0.0, 0.2))
            if kills < NUM_KILLS:
                kills += 1
                what = chance.choice(("server", "agent", "task", "task"))
                found = victims[what]() if what in victims else [server.pid]
                kill(found, chance)
        if server.wait(PATIENCE_S) == -signal.SIGKILL:  # ours, when all was through already
            server = start_server(root, folder)
        assert server.wait(PATIENCE_S) == 0
        check(folder)
    finally:
        server.kill()
        server.wait()
        engine = LocalEngine(root, NODES)
        engine.open()
        engine.shut_down()
    assert not tasks(folder)


def check(folder):
    text = (folder / "ledger").read_text()
    told = [line.split() for line in text.splitlines()]
    started = collections.Counter(
        (attempt, rank) for attempt, rank, word in told if word == "started"
    )
    assert max(started.values()) == 1, "an attempt started twice"
    assert not [line for line in told if line[2] == "overlap"], "two attempts ran at once"
    finished = {
        (re.sub(r"\.\d+$", "", attempt), rank) for attempt, rank, word in told if word == "finished"
    }
    assert finished == {(f"job-{job}", str(rank)) for job in range(NUM_JOBS) for rank in range(2)}
