"""What stands in files is all there is: servers and agents die between any two of their steps."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.engines.local.conftest import NODES, LocalRig
from tests.engines.protocol_suite import (
    STAY,
    STUBBORN,
    UP,
    ended,
    eventually,
    find,
    lines,
    order,
    running,
    until,
)

from clusterwright.engines import Attempt, End, OutOfReach, Phase, Refused, Stop
from clusterwright.engines.local import LocalEngine, engine, spool
from clusterwright.errors import Conflict

BOTH = [True, False]
RAN = 'echo once >> "$FOLDER/ran"; '


def agent_pid(rig, node):
    about = json.loads((rig.root / "nodes" / node / "agent.json").read_text())
    return int(about["id"].split(":")[1])


def is_up(rig, node):
    return any(one.name == node and one.up for one in rig.engine.observe().nodes)


def deaf(rig, monkeypatch):
    """Let the server die, as it were, before it wakes an agent."""
    monkeypatch.setattr(rig.engine, "_poke", lambda name: None)


def test_a_root_has_one_server(rig):
    with pytest.raises(Conflict, match="another server"):
        LocalEngine(rig.root, NODES).open()


def test_an_engine_that_is_not_open_says_so(tmp_path):
    with pytest.raises(OutOfReach, match="open"):
        LocalEngine(tmp_path, NODES).observe()


def test_an_order_that_was_given_starts_though_nobody_woke_the_agents(rig, monkeypatch):
    launch = order(rig, RAN, num_nodes=2)
    deaf(rig, monkeypatch)
    rig.engine.launch(launch)
    rig.restart()
    assert ended(rig, launch.attempt).end is End.COMPLETED
    assert lines(rig.folder / "ran") == ["once", "once"]


def test_a_server_killed_before_its_order_leaves_neither_attempt_nor_secret(rig, monkeypatch):
    launch = order(rig, RAN, secrets={"TOKEN": "hush-4711"})
    real = spool.create
    monkeypatch.setattr(spool, "create", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rig.engine.launch(launch)
    monkeypatch.setattr(spool, "create", real)
    rig.restart()
    assert find(rig.engine.observe(), launch.attempt) is None
    assert not files_with(rig.root, "hush-4711")
    rig.engine.launch(launch)
    assert ended(rig, launch.attempt).end is End.COMPLETED
    assert lines(rig.folder / "ran") == ["once"]


def test_an_agent_that_comes_new_does_not_start_what_was_given_to_the_one_before(rig, monkeypatch):
    launch = order(rig, RAN, num_nodes=1)
    deaf(rig, monkeypatch)
    rig.engine.launch(launch)
    rig.engine.kill_node(rig.nodes[0])
    rig.engine.start_node(rig.nodes[0])
    assert find(rig.engine.observe(), launch.attempt).phase is Phase.LOST
    eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")
    assert ended(rig, launch.attempt).end is End.NODE_FAIL
    assert not lines(rig.folder / "ran")


def test_an_attempt_stopped_before_it_began_never_begins(rig, monkeypatch):
    launch = order(rig, RAN, num_nodes=2)
    deaf(rig, monkeypatch)
    rig.engine.launch(launch)
    assert find(rig.engine.observe(), launch.attempt).phase is Phase.PENDING
    rig.engine.stop(launch.attempt, Stop())
    rig.restart()
    assert ended(rig, launch.attempt).end is End.STOPPED
    assert not lines(rig.folder / "ran")


def test_a_forgotten_attempt_is_not_started_again(rig):
    launch = order(rig, RAN)
    rig.engine.launch(launch)
    ended(rig, launch.attempt)
    rig.engine.forget([launch.attempt])
    rig.engine.launch(launch)
    rig.engine.wait(0.1)
    assert lines(rig.folder / "ran") == ["once"]
    assert rig.engine.fence(launch.attempt)


def test_an_attempt_that_goes_on_is_not_forgotten(rig):
    launch = order(rig, STAY)
    running(rig, launch)
    with pytest.raises(Refused, match="not ended"):
        rig.engine.forget([launch.attempt])
    assert find(rig.engine.observe(), launch.attempt).phase is Phase.RUNNING


def test_a_second_stop_can_make_the_grace_shorter(rig):
    launch = order(rig, STUBBORN.replace("USR1 TERM", "USR1"))
    running(rig, launch)
    rig.engine.stop(launch.attempt, Stop(grace_s=3600))
    assert find(rig.engine.observe(), launch.attempt).phase is Phase.STOPPING
    rig.engine.stop(launch.attempt, Stop(grace_s=0))
    assert ended(rig, launch.attempt).exit_codes == (-signal.SIGTERM,)


def test_a_killed_agent_takes_its_tasks_along_and_its_node_comes_back(rig):
    launch = order(rig, UP + 'echo $$ > "$FOLDER/pid.$RANK"; exec sleep 1000', num_nodes=2)
    running(rig, launch)
    eventually(rig, lambda: len(lines(rig.folder / "pid.1")) == 1, why="the task's number")
    task = int(lines(rig.folder / "pid.1")[0])
    os.kill(agent_pid(rig, rig.nodes[1]), signal.SIGKILL)
    seen = until(rig, launch.attempt, lambda one: one.phase in {Phase.LOST, Phase.ENDED})
    assert seen.lost_nodes == (rig.nodes[1],)
    eventually(rig, lambda: is_up(rig, rig.nodes[1]), why="the node back by itself")
    # Its new agent had ended what was left before it took the node.
    assert not Path(f"/proc/{task}/cmdline").exists() or b"sleep" not in command(task)
    eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")
    assert ended(rig, launch.attempt).end is End.NODE_FAIL


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_gang_ends_without_a_server_when_one_of_its_nodes_is_lost(rig):
    launch = order(rig, "trap 'touch \"$FOLDER/told.$RANK\"; exit 1' TERM; " + STAY, num_nodes=2)
    running(rig, launch)
    lost = agent_pid(rig, rig.nodes[1])
    rig.engine.close()
    os.kill(lost, signal.SIGKILL)
    wait_for(rig, rig.folder / "told.0")
    rig.restart()
    assert find(rig.engine.observe(), launch.attempt).lost_nodes == (rig.nodes[1],)


def test_a_time_limit_holds_without_a_server(rig):
    stay = "trap 'touch \"$FOLDER/told.$RANK\"; exit 0' USR1; " + STAY
    launch = order(rig, stay, num_nodes=2, time_limit_s=0.5)
    rig.engine.launch(launch)
    rig.engine.close()
    for rank in range(2):
        wait_for(rig, rig.folder / f"told.{rank}")
    rig.restart()
    seen = ended(rig, launch.attempt)
    assert seen.end is End.TIMEOUT
    assert "0.5 s" in seen.message


def test_a_rank_that_fails_ends_the_gang_without_a_server(rig):
    stay = "trap 'touch \"$FOLDER/told.$RANK\"; exit 0' TERM; " + UP
    wait = '[ "$RANK" = 0 ] || { while [ ! -e "$FOLDER/go" ]; do sleep 0.02; done; exit 9; }; '
    launch = order(rig, stay + wait + "while :; do sleep 0.05; done", num_nodes=2)
    running(rig, launch)
    rig.engine.close()
    (rig.folder / "go").touch()
    wait_for(rig, rig.folder / "told.0")
    rig.restart()
    seen = ended(rig, launch.attempt)
    assert (seen.end, seen.exit_codes) == (End.FAILED, (0, 9))
    assert seen.message == f"rank 1 on {rig.nodes[1]} returned 9"


def wait_for(rig, path):
    """Wait for a file while there is no engine to wait with."""
    deadline = time.monotonic() + rig.patience_s
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.01)


def test_an_agent_that_hangs_is_killed_when_it_does_not_fence(rig, monkeypatch):
    launch = order(rig, STAY)
    running(rig, launch)
    hung = agent_pid(rig, rig.nodes[0])
    os.kill(hung, signal.SIGSTOP)
    monkeypatch.setattr(engine, "FENCE_PATIENCE_S", 0.1)
    monkeypatch.setattr(engine, "HUNG_S", 0.2)
    eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")
    assert ended(rig, launch.attempt).end is End.NODE_FAIL
    eventually(rig, lambda: is_up(rig, rig.nodes[0]), why="the node back")
    assert agent_pid(rig, rig.nodes[0]) != hung


def test_what_left_its_session_is_ended_with_the_attempt(rig):
    """A child in a session of its own outlives its parent, and then its agent."""
    child = "setsid sh -c 'while :; do touch \"$FOLDER/child\"; sleep 0.02; done' & "
    for number, hurt in enumerate(("end", "agent"), start=1):
        launch = order(rig, child + (UP if hurt == "end" else STAY), attempt=attempt(rig, number))
        rig.engine.launch(launch)
        eventually(rig, (rig.folder / "child").exists, why="the child") if hurt == "agent" else None
        if hurt == "agent":
            os.kill(agent_pid(rig, rig.nodes[0]), signal.SIGKILL)
            until(rig, launch.attempt, lambda one: one.phase in {Phase.LOST, Phase.ENDED})
            eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")  # noqa: B023
        ended(rig, launch.attempt)
        (rig.folder / "child").unlink(missing_ok=True)
        rig.engine.wait(0.1)
        assert not (rig.folder / "child").exists(), hurt


def attempt(rig, number):
    return Attempt(rig.job_id, number)


def test_an_order_for_a_node_that_takes_none_ends_as_a_failure_of_the_node(rig):
    rig.engine.drain(rig.nodes[0], "a loud fan")
    launch = order(rig, RAN, num_nodes=2, attempt=attempt(rig, 1))
    rig.engine.launch(launch)
    seen = ended(rig, launch.attempt)
    assert (seen.end, seen.lost_nodes) == (End.NODE_FAIL, ())
    assert "drained" in seen.message
    rig.engine.kill_node(rig.nodes[1], "a fire")
    eventually(rig, lambda: not is_up(rig, rig.nodes[1]), why="the node down")
    assert rig.engine.observe().nodes[1].reason == "a fire"
    launch = order(rig, RAN, nodes=rig.nodes[1:], attempt=attempt(rig, 2))
    rig.engine.launch(launch)
    seen = ended(rig, launch.attempt)
    assert (seen.end, seen.lost_nodes) == (End.NODE_FAIL, rig.nodes[1:])
    assert not lines(rig.folder / "ran")


def test_an_order_that_a_crash_of_the_machine_tore_counts_as_a_failure_of_the_node(rig):
    launch = order(rig, RAN)
    rig.engine.launch(launch)
    ended(rig, launch.attempt)
    (rig.root / "attempts" / str(launch.attempt) / "order.json").write_text('{"attempt": {"jo')
    rig.restart()
    assert find(rig.engine.observe(), launch.attempt).end is End.NODE_FAIL
    rig.engine.launch(launch)
    assert rig.engine.fence(launch.attempt)
    assert lines(rig.folder / "ran") == ["once"]


def test_one_thread_waits_while_another_asks(rig):
    stop, failures = threading.Event(), []

    def listen():
        while not stop.is_set():
            try:
                rig.engine.wait(0.05)
            except Exception as error:
                failures.append(error)

    ear = threading.Thread(target=listen)
    ear.start()
    try:
        for number in range(1, 11):
            launch = order(rig, "exit 0", num_nodes=2, attempt=attempt(rig, number))
            rig.engine.launch(launch)
            if number == 5:
                os.kill(agent_pid(rig, rig.nodes[0]), signal.SIGKILL)
            deadline = time.monotonic() + rig.patience_s
            while not rig.engine.fence(launch.attempt):
                assert time.monotonic() < deadline
            assert find(rig.engine.observe(), launch.attempt).phase is Phase.ENDED
    finally:
        stop.set()
        ear.join()
    assert not failures


def test_shutting_down_ends_all_that_runs_and_needs_no_open_engine(tmp_path):
    root, folder = tmp_path / "engine", tmp_path / "seen"
    folder.mkdir()
    engine = LocalEngine(root, NODES, cgroups=False)
    engine.open()
    rig = LocalRig(root=root, engine=engine, cgroups=False, folder=folder, job_id="7")
    child = "setsid sh -c 'while :; do touch \"$FOLDER/child\"; sleep 0.02; done' & "
    launch = order(rig, child + STAY, num_nodes=2)
    running(rig, launch)
    engine.close()
    pids = [agent_pid(rig, node) for node in rig.nodes]
    LocalEngine(root, NODES[:1]).shut_down()
    assert not [pid for pid in pids if b"boot.py" in command(pid)]
    (folder / "child").unlink(missing_ok=True)
    rig.restart()
    try:
        assert not (folder / "child").exists()
        assert find(rig.engine.observe(), launch.attempt).end is End.NODE_FAIL
    finally:
        rig.engine.shut_down()


def files_with(root, text):
    return [
        path for path in root.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    ]
