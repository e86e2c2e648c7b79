"""The promises of `engines.protocol` as tests that any engine can be held to.

A module of tests gives a fixture `rig` and takes the tests over:

    from tests.engines.protocol_suite import Promises

    class TestLocal(Promises):
        @pytest.fixture
        def rig(self, tmp_path): ...

Nothing here sleeps for a fixed time: `until` waits on the engine's own `wait`, with a deadline.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from clusterwright.engines import (
    Attempt,
    AttemptSeen,
    End,
    Engine,
    Launch,
    Observation,
    Phase,
    Refused,
    Share,
    Stop,
)
from clusterwright.model.jobspec import Checkpoint, JobSpec


class Rig(Protocol):
    """An engine under test, and the hands that hurt it."""

    engine: Engine
    """Open."""
    nodes: tuple[str, ...]
    """At least two nodes that are up."""
    job_id: str
    """A job that no other test has named: an engine may serve many tests."""
    folder: Path
    """A directory of the test's own that tasks and the test both see."""
    patience_s: float
    """How long anything may take to happen."""
    loses_nodes: bool
    """True when `lose` and `regain` work."""

    def restart(self) -> None:
        """Replace `engine` by a new open one, as when the server is killed and started again."""

    def lose(self, node: str) -> None:
        """Take a node away with all that runs on it."""

    def regain(self, node: str) -> None:
        """Let a lost node come back."""


def order(
    rig: Rig,
    command: str | tuple[str, ...],
    *,
    attempt: Attempt | None = None,
    num_nodes: int = 1,
    env: dict[str, str] | None = None,
    secrets: dict[str, str] | None = None,
    time_limit_s: float | None = None,
    nodes: tuple[str, ...] | None = None,
    **spec: object,
) -> Launch:
    """Return an order for the first nodes of a rig, or for those named."""
    named = nodes if nodes is not None else rig.nodes[:num_nodes]
    job = JobSpec(
        name="a-job",
        command=command,
        num_nodes=len(named),
        env={"FOLDER": str(rig.folder), **(env or {})},
        secrets={name: f"env:{name}" for name in secrets or {}},
        **spec,
    )
    share = {"num_cpus": 1}
    return Launch(
        attempt=attempt or Attempt(rig.job_id, 1),
        spec=job,
        shares=tuple(Share(node=node, **share) for node in named),
        secrets=secrets or {},
        time_limit_s=time_limit_s,
    )


def find(seen: Observation, attempt: Attempt) -> AttemptSeen | None:
    """Return what an observation says of an attempt."""
    return next((one for one in seen.attempts if one.attempt == attempt), None)


def until(
    rig: Rig, attempt: Attempt, holds: Callable[[AttemptSeen], bool], *, why: str = ""
) -> AttemptSeen:
    """Return the first sight of an attempt for which something holds; fail when it never does."""
    deadline = time.monotonic() + rig.patience_s
    one = None
    while time.monotonic() < deadline:
        one = find(rig.engine.observe(), attempt)
        if one is not None and holds(one):
            return one
        rig.engine.wait(0.1)
    pytest.fail(f"never seen: {why or 'what was waited for'}; last seen: {one}")


def eventually(rig: Rig, holds: Callable[[], bool], *, why: str) -> None:
    """Wait until something holds; fail when it never does."""
    deadline = time.monotonic() + rig.patience_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"never seen: {why}")
        rig.engine.wait(0.02)


def ended(rig: Rig, attempt: Attempt) -> AttemptSeen:
    """Return an attempt once it has ended."""
    return until(rig, attempt, lambda one: one.phase is Phase.ENDED, why="its end")


def running(rig: Rig, launch: Launch, *, mark: str = "up") -> AttemptSeen:
    """Launch an attempt whose tasks touch `mark.<rank>`, and return once all of them did."""
    rig.engine.launch(launch)
    ranks = len(launch.shares) * launch.spec.num_tasks_per_node
    eventually(
        rig,
        lambda: len(list(rig.folder.glob(f"{mark}.*"))) >= ranks,
        why=f"{ranks} tasks that say they are there",
    )
    return until(rig, launch.attempt, lambda one: one.phase is not Phase.PENDING)


def lines(path: Path) -> list[str]:
    """Return the lines of a file; none when it is not there."""
    return path.read_text().splitlines() if path.exists() else []


UP = 'touch "$FOLDER/up.$RANK"; '
STAY = UP + "while :; do sleep 0.05; done"
SAVE = "trap 'echo saved >> \"$FOLDER/saved\"; exit 0' USR1; " + UP + "while :; do sleep 0.05; done"
STUBBORN = "trap '' USR1 TERM INT HUP; " + UP + "while :; do sleep 0.05; done"


class Promises:
    """What every engine promises."""

    # --- one job, from its start to its end

    def test_every_node_is_seen_up_and_in_a_lasting_order(self, rig):
        names = [node.name for node in rig.engine.observe().nodes if node.up]
        assert set(rig.nodes) <= set(names)
        assert names == [node.name for node in rig.engine.observe().nodes if node.up]

    def test_a_job_that_returns_0_is_completed(self, rig):
        launch = order(rig, "exit 0")
        before = time.time()
        rig.engine.launch(launch)
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.exit_codes, seen.nodes) == (End.COMPLETED, (0,), rig.nodes[:1])
        assert before - 2 <= seen.started_s <= seen.ended_s <= time.time() + 2

    def test_a_job_that_returns_something_else_has_failed(self, rig):
        launch = order(rig, "exit 3")
        rig.engine.launch(launch)
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.exit_codes) == (End.FAILED, (3,))
        assert seen.message

    def test_a_task_that_a_signal_killed_tells_the_signal(self, rig):
        launch = order(rig, "kill -SEGV $$")
        rig.engine.launch(launch)
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.exit_codes) == (End.FAILED, (-signal.SIGSEGV,))

    def test_a_program_that_is_not_there_is_told(self, rig):
        launch = order(rig, ("/nowhere/to/be/found",))
        rig.engine.launch(launch)
        seen = ended(rig, launch.attempt)
        assert seen.end in {End.NOT_STARTED, End.FAILED}
        assert seen.message

    def test_words_of_a_list_reach_the_program_as_they_stand(self, rig):
        words = ("a b", "$HOME", "*", "; touch oops", 'q"q')
        launch = order(rig, ("/usr/bin/printf", "%s\\n", *words))
        rig.engine.launch(launch)
        ended(rig, launch.attempt)
        assert lines(rig.engine.log_path(launch.attempt, 0, "out")) == list(words)

    def test_a_text_is_run_by_the_shell_with_its_arguments(self, rig):
        launch = order(rig, 'printf "%s|" "$@"', args=("one", "two words"))
        rig.engine.launch(launch)
        ended(rig, launch.attempt)
        assert lines(rig.engine.log_path(launch.attempt, 0, "out")) == ["one|two words|"]

    def test_each_rank_has_its_own_logs(self, rig):
        launch = order(rig, 'echo "out $RANK"; echo "err $RANK" >&2', num_nodes=2, tasks_per_node=2)
        rig.engine.launch(launch)
        ended(rig, launch.attempt)
        for rank in range(4):
            for stream in ("out", "err"):
                path = rig.engine.log_path(launch.attempt, rank, stream)
                assert lines(path) == [f"{stream} {rank}"]

    def test_secrets_reach_the_tasks(self, rig):
        launch = order(rig, 'test "$TOKEN" = hush-4711', secrets={"TOKEN": "hush-4711"})
        rig.engine.launch(launch)
        assert ended(rig, launch.attempt).end is End.COMPLETED

    def test_a_report_is_a_sign_of_life(self, rig):
        launch = order(rig, 'echo "{\\"step\\": 3}" >> "$CLUSTERWRIGHT_REPORT"; ' + STAY)
        seen = running(rig, launch)
        seen = until(rig, launch.attempt, lambda one: one.beat_s is not None, why="a beat")
        assert abs(seen.beat_s - time.time()) < rig.patience_s + 2
        assert '{"step": 3}' in lines(rig.engine.report_path(launch.attempt))

    # --- gangs

    def test_ranks_of_a_direct_launch_find_each_other(self, rig):
        names = [
            "MASTER_ADDR",
            "MASTER_PORT",
            "WORLD_SIZE",
            "RANK",
            "LOCAL_RANK",
            "LOCAL_WORLD_SIZE",
            "NODE_RANK",
            "GROUP_RANK",
            "CLUSTERWRIGHT_JOB_ID",
            "CLUSTERWRIGHT_NUM_NODES",
            "CLUSTERWRIGHT_NODE_LIST",
        ]
        show = "; ".join(f'echo "{name}=${name}"' for name in names)
        launch = order(rig, show, num_nodes=2, tasks_per_node=2)
        rig.engine.launch(launch)
        assert ended(rig, launch.attempt).end is End.COMPLETED
        ports = set()
        for rank in range(4):
            text = lines(rig.engine.log_path(launch.attempt, rank, "out"))
            env = dict(line.split("=", 1) for line in text)
            node, local = divmod(rank, 2)
            assert env["RANK"] == str(rank)
            assert env["LOCAL_RANK"] == str(local)
            assert env["NODE_RANK"] == env["GROUP_RANK"] == str(node)
            assert (env["WORLD_SIZE"], env["LOCAL_WORLD_SIZE"]) == ("4", "2")
            assert env["CLUSTERWRIGHT_JOB_ID"] == launch.attempt.job_id
            assert env["CLUSTERWRIGHT_NUM_NODES"] == "2"
            assert env["CLUSTERWRIGHT_NODE_LIST"].split(",") == list(rig.nodes[:2])
            ports.add((env["MASTER_ADDR"], int(env["MASTER_PORT"])))
        assert len(ports) == 1

    def test_torchrun_gets_its_own_variables_and_no_rank(self, rig):
        show = (
            'echo "$PET_NNODES $PET_NPROC_PER_NODE $PET_NODE_RANK $PET_RDZV_BACKEND ${RANK-none}"'
        )
        launch = order(rig, show, num_nodes=2, tasks_per_node=3, launcher="torchrun")
        rig.engine.launch(launch)
        assert ended(rig, launch.attempt).exit_codes == (0, 0)
        for rank, node in ((0, 0), (3, 1)):
            path = rig.engine.log_path(launch.attempt, rank, "out")
            assert lines(path) == [f"2 3 {node} c10d none"]

    def test_one_rank_that_fails_ends_the_gang(self, rig):
        launch = order(
            rig,
            'if [ "$RANK" = 1 ]; then exit 5; fi; while :; do sleep 0.05; done',
            num_nodes=2,
        )
        rig.engine.launch(launch)
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.exit_codes[1]) == (End.FAILED, 5)
        assert seen.exit_codes[0] != 0

    # --- ending

    def test_a_job_that_saves_after_the_warning_was_stopped(self, rig):
        launch = order(rig, SAVE)
        running(rig, launch)
        rig.engine.stop(launch.attempt, Stop(signal="USR1", grace_s=rig.patience_s))
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.exit_codes) == (End.STOPPED, (0,))
        assert lines(rig.folder / "saved") == ["saved"]

    def test_stopping_twice_warns_once(self, rig):
        launch = order(rig, SAVE.replace("exit 0", "sleep 0.3; exit 0"))
        running(rig, launch)
        for _ in range(3):
            rig.engine.stop(launch.attempt, Stop(grace_s=rig.patience_s))
        assert ended(rig, launch.attempt).end is End.STOPPED
        rig.engine.stop(launch.attempt, Stop(grace_s=0))
        assert find(rig.engine.observe(), launch.attempt).end is End.STOPPED
        assert lines(rig.folder / "saved") == ["saved"]

    def test_a_job_without_grace_is_terminated(self, rig):
        launch = order(rig, STAY, num_nodes=2)
        running(rig, launch)
        rig.engine.stop(launch.attempt, Stop(signal="", grace_s=0))
        seen = ended(rig, launch.attempt)
        assert seen.end is End.STOPPED
        assert all(code != 0 for code in seen.exit_codes)

    def test_a_job_is_stopped_at_its_time_limit(self, rig):
        launch = order(rig, STAY, time_limit_s=0.3, checkpoint=Checkpoint(grace_s=0.0))
        rig.engine.launch(launch)
        assert ended(rig, launch.attempt).end is End.TIMEOUT

    def test_a_signal_reaches_the_tasks(self, rig):
        launch = order(rig, SAVE.replace("USR1", "USR2"), num_nodes=2)
        running(rig, launch)
        rig.engine.signal(launch.attempt, "USR2")
        assert ended(rig, launch.attempt).end is End.COMPLETED
        assert lines(rig.folder / "saved") == ["saved", "saved"]

    def test_fencing_leaves_nothing_that_runs(self, rig):
        child = "(trap '' TERM HUP; while :; do touch \"$FOLDER/child\"; sleep 0.02; done) & "
        launch = order(rig, child + STUBBORN, num_nodes=2)
        running(rig, launch)
        eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")
        (rig.folder / "child").unlink(missing_ok=True)
        seen = ended(rig, launch.attempt)
        assert seen.end is not End.COMPLETED
        rig.engine.wait(0.1)
        assert not (rig.folder / "child").exists()
        assert rig.engine.fence(launch.attempt)

    def test_an_attempt_fenced_before_its_launch_never_starts(self, rig):
        launch = order(rig, 'echo once >> "$FOLDER/ran"')
        eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")
        rig.engine.launch(launch)
        later = order(rig, "exit 0", attempt=Attempt(rig.job_id, 2))
        rig.engine.launch(later)
        ended(rig, later.attempt)
        assert not lines(rig.folder / "ran")
        seen = find(rig.engine.observe(), launch.attempt)
        assert seen is None or seen.phase is Phase.ENDED

    # --- orders given twice, servers that die

    def test_an_order_given_twice_starts_once(self, rig):
        launch = order(rig, 'echo once >> "$FOLDER/ran"; ' + SAVE, num_nodes=2)
        for _ in range(3):
            rig.engine.launch(launch)
        running(rig, launch)
        rig.engine.launch(launch)
        rig.engine.stop(launch.attempt, Stop(grace_s=rig.patience_s))
        ended(rig, launch.attempt)
        rig.engine.launch(launch)
        rig.engine.wait(0.1)
        assert lines(rig.folder / "ran") == ["once", "once"]

    def test_what_runs_goes_on_when_the_server_dies(self, rig):
        launch = order(rig, 'echo once >> "$FOLDER/ran"; ' + SAVE, num_nodes=2)
        running(rig, launch)
        rig.restart()
        rig.engine.launch(launch)
        seen = find(rig.engine.observe(), launch.attempt)
        assert seen.phase is Phase.RUNNING
        rig.engine.stop(launch.attempt, Stop(grace_s=rig.patience_s))
        assert ended(rig, launch.attempt).end is End.STOPPED
        assert lines(rig.folder / "ran") == ["once", "once"]

    def test_an_end_while_the_server_was_away_is_seen_afterwards(self, rig):
        launch = order(rig, UP + 'while [ ! -e "$FOLDER/go" ]; do sleep 0.02; done; exit 4')
        running(rig, launch)
        rig.engine.close()
        (rig.folder / "go").touch()
        rig.restart()
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.exit_codes) == (End.FAILED, (4,))

    def test_an_order_just_given_survives_the_server(self, rig):
        launch = order(rig, 'echo once >> "$FOLDER/ran"', num_nodes=2)
        rig.engine.launch(launch)
        rig.restart()
        rig.engine.launch(launch)
        assert ended(rig, launch.attempt).end is End.COMPLETED
        assert lines(rig.folder / "ran") == ["once", "once"]

    def test_a_forgotten_attempt_is_seen_no_more_and_its_logs_stay(self, rig):
        launch = order(rig, "echo kept")
        rig.engine.launch(launch)
        ended(rig, launch.attempt)
        path = rig.engine.log_path(launch.attempt, 0, "out")
        rig.engine.forget([launch.attempt])
        rig.engine.forget([launch.attempt, Attempt("never-heard-of", 1)])
        assert find(rig.engine.observe(), launch.attempt) is None
        assert lines(path) == ["kept"]

    # --- nodes

    def test_a_drained_node_says_so_until_it_is_let_back(self, rig):
        name = rig.nodes[0]
        rig.engine.drain(name, "a loud fan")

        def node():
            return next(one for one in rig.engine.observe().nodes if one.name == name)

        eventually(rig, lambda: node().drained, why="the node drained")
        assert "a loud fan" in node().reason
        rig.engine.undrain(name)
        eventually(rig, lambda: not node().drained, why="the node back")

    def test_an_order_for_a_node_that_is_not_there_is_refused(self, rig):
        launch = order(rig, "exit 0", nodes=("no-such-node",))
        with pytest.raises(Refused, match="no-such-node"):
            rig.engine.launch(launch)
        assert find(rig.engine.observe(), launch.attempt) is None

    def test_a_lost_node_is_told_and_nothing_of_the_gang_lives_after_the_fence(self, rig):
        if not rig.loses_nodes:
            pytest.skip("this engine's nodes cannot be taken away here")
        launch = order(rig, 'echo "$RANK" >> "$FOLDER/ran"; ' + STAY, num_nodes=2)
        running(rig, launch)
        rig.lose(rig.nodes[1])
        seen = until(
            rig, launch.attempt, lambda one: one.phase in {Phase.LOST, Phase.ENDED}, why="the loss"
        )
        assert seen.lost_nodes == (rig.nodes[1],)
        eventually(rig, lambda: rig.engine.fence(launch.attempt), why="a fence that holds")
        seen = ended(rig, launch.attempt)
        assert (seen.end, seen.lost_nodes) == (End.NODE_FAIL, (rig.nodes[1],))
        again = order(rig, "exit 0", attempt=Attempt(rig.job_id, 2), nodes=rig.nodes[:1])
        rig.engine.launch(again)
        assert ended(rig, again.attempt).end is End.COMPLETED

        rig.regain(rig.nodes[1])
        eventually(
            rig,
            lambda: any(n.name == rig.nodes[1] and n.up for n in rig.engine.observe().nodes),
            why="the node back",
        )
        back = order(rig, "exit 0", attempt=Attempt(rig.job_id, 3), nodes=rig.nodes[1:2])
        rig.engine.launch(back)
        assert ended(rig, back.attempt).end is End.COMPLETED
        assert sorted(lines(rig.folder / "ran")) == ["0", "1"]
