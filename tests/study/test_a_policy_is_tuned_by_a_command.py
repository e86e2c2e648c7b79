"""`study tune`: its answer, its files, its exit codes."""

import json

import numpy as np
import pytest

from clusterwright.cli.main import run

HEADER = "job_id,submit_s,duration_s,gpus,user,vc\n"
FAST = ("--windows", "2", "-q")


def trace(name, count, seed):
    """Return jobs of two users: one submits wide and long, the other narrow and brief ones."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        wide = rng.random() < 0.2
        lasts = rng.integers(4000, 9000) if wide else rng.integers(60, 900)
        queue, gpus, user = rng.choice(["q", "r"]), 8 if wide else 1, "ann" if wide else "bob"
        rows.append(f"{name}{n},{n * 400},{lasts},{gpus},{user},{queue}")
    return HEADER + "\n".join(rows) + "\n"


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "earlier.csv").write_text(trace("a", 200, seed=1))
    (tmp_path / "later.csv").write_text(trace("b", 150, seed=2))
    (tmp_path / "queues.csv").write_text("queue,nodes\nq,1\nr,1\n")

    def called(*words, command=("study", "tune", "later.csv")):
        code = run([*command, *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


EARLIER = ("--history", "earlier.csv", "--history-shift", "1d", "--queues", "queues.csv")


def tuned(call, *words, budget=16):
    few = ("--budget", str(budget), "--against", "fifo,qssf")
    code, out, err = call(*EARLIER, *FAST, *few, *words, "-o", "json")
    assert code == 0, err
    return json.loads(out)


def test_the_answer_holds_policy_trials_and_gains_and_its_files_simulate_to_the_same(call):
    answer = tuned(call, "--out", "best.yaml", "--guesses", "guesses.csv")
    status = answer["status"]
    assert answer["kind"] == "PolicyTuning"
    assert status["feasible"]
    assert status["num_runs"] <= 16
    assert sum(one["chosen"] for one in answer["items"]) == 1
    gains = {(one["period"], one["against"]): one for one in status["gains"]}
    assert set(gains) == {(p, name) for p in ("searched", "later") for name in ("fifo", "qssf")}
    later = gains["later", "fifo"]
    assert later["gain_fraction"] > 0.3, "brief jobs first is far better here"
    code, out, err = call(
        *("--queues", "queues.csv", "--trace", "later.csv", "--policy", "best.yaml"),
        *("--estimates", "guesses.csv", "-o", "json", "-q"),
        command=("simulate",),
    )
    assert code == 0, err
    simulated = json.loads(out)
    assert simulated["spec"]["policy"] == "tuned"
    assert simulated["status"]["avg_wait_s"] == pytest.approx(later["objective_after"], rel=1e-9)


def test_two_processes_give_the_answer_of_one(call):
    words = ("--objective", "p95_wait")
    assert tuned(call, *words, budget=8) == tuned(call, *words, "--processes", "2", budget=8)


def test_one_trace_can_be_parted(call):
    words = (
        "--queues",
        "queues.csv",
        "--from",
        "10h",
        "--against",
        "fifo",
        "--budget",
        "16",
        *FAST,
    )
    code, out, err = call(*words, "-o", "json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["spec"]["later"]["from_s"] == 36000.0
    assert all(one["to_s"] <= 36000.0 for one in answer["spec"]["windows"])


def test_limits_that_nothing_holds_are_the_answer_no_and_nothing_is_written(call, tmp_path):
    code, out, _ = call(
        *EARLIER, *FAST, "--budget", "16", "--limit", "p99_wait<=1s", "--out", "best.yaml"
    )
    assert code == 1
    assert "the nearest misses p99_wait<=1s" in out
    assert not (tmp_path / "best.yaml").exists()


def test_a_space_narrows_what_is_tried(call, tmp_path):
    (tmp_path / "space.yaml").write_text(
        "apiVersion: clusterwright/v1\nkind: PolicySpace\nname: mine\n"
        "order: [[submitted], [size, submitted]]\nageing: [0, 0.0001]\npatience: [never, 12 h]\n"
        "backfill: [none]\nplacement: [consolidate]\n"
    )
    answer = tuned(call, "--space", "space.yaml")
    orders = {tuple(one["policy"].get("order", ())) for one in answer["items"]}
    # The policy started from is not of the space: it is tried, and only compared with.
    assert orders <= {(), ("submitted",), ("size", "submitted")}
    assert {one["policy"].get("patience", "never") for one in answer["items"]} <= {"never", "12 h"}
    assert answer["status"]["policy"]["order"] in (["submitted"], ["size", "submitted"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--objective", "avg_wiat", "--limit", "p9_wait<=2d"), "Did you mean avg_wait"),
        (("--policy", "sjf"), "true durations"),
        (("--against", "fifo,srtf"), "true"),
        (("--budget", "3"), "--budget 3"),
        (("--processes", "0", "--windows", "0"), "--windows 0"),
        (("--space", "none.yaml"), "no such file"),
        (("--policy", "fiof"), "fifo"),
        (("--against", "fifo+esay"), "easy"),
    ],
)
def test_it_refuses(call, words, said):
    code, out, err = call(*EARLIER, *words)
    assert code == 2
    assert said in err
    assert not out


def test_without_an_earlier_time_there_is_nothing_to_search_on(call):
    code, _, err = call("--queues", "queues.csv")
    assert code == 2
    assert "--from" in err


def test_queues_may_lend(call, tmp_path):
    (tmp_path / "queues.csv").write_text("queue,nodes,guarantee\nq,1,8\nr,1,8\n")
    answer = tuned(call, "--borrowing", "on", "--limit", "num_guarantees_broken==0")
    assert answer["status"]["feasible"]


def test_people_read_the_gain_first_and_a_dry_run_writes_nothing(call, tmp_path):
    code, out, _ = call(*EARLIER, *FAST, "--budget", "16", "--out", "best.yaml", "--dry-run")
    assert code == 0
    assert not (tmp_path / "best.yaml").exists()
    lines = out.splitlines()
    assert lines[0].startswith("tuned from fifo: ")
    assert any(line.startswith("later ") for line in lines)
    assert any("chosen" in line for line in lines)
