"""`estimate runtimes`: what it refuses, what it writes, and that `simulate` reads it."""

import csv
import io
import json
import sys

import pytest
from tests.learn.conftest import EARLIER, HEADER

from clusterwright import traces
from clusterwright.cli.main import run


@pytest.fixture
def call(capsys, files, monkeypatch):
    monkeypatch.chdir(files)

    def called(*words):
        code = run(["estimate", "runtimes", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def test_it_predicts_and_says_how_wrong_it_was(call):
    code, out, err = call(*EARLIER, "-o", "json")
    answer = json.loads(out)
    assert code == 0
    assert answer["kind"] == "RunTimeEstimateList"
    assert len(answer["items"]) == 100
    error, naive = (answer["status"][name] for name in ("error", "error_of_queue_means"))
    assert error["log_error_ratio"] < naive["log_error_ratio"]
    assert error["rank_correlation_ratio"] > 0.8
    assert "queue means" in err


def test_the_same_call_gives_the_same_bytes(call):
    assert call(*EARLIER, "-o", "csv")[1] == call(*EARLIER, "-o", "csv")[1]


@pytest.mark.parametrize("guess", ["order", "mean", "p50", "p90"])
def test_simulate_reads_what_it_writes(call, files, guess):
    code, out, _ = call(*EARLIER, "--guess", guess, "--out", "guesses.csv", "-o", "csv")
    content = (files / "guesses.csv").read_bytes()
    assert code == 0
    assert content.decode() == out
    jobs = traces.read_trace((files / "later.csv").read_bytes(), file="later.csv").jobs
    told = traces.read_estimates(content, jobs, file="guesses.csv")
    column = {"order": "est_duration_s", "mean": "mean_s"}.get(guess, f"{guess}_s")
    rows = {row["job_id"]: row for row in csv.DictReader(io.StringIO(out))}
    assert all(one.estimate_s == float(rows[one.job_id][column]) for one in told)


def test_a_trace_can_be_parted_in_time(call):
    code, out, _ = call("earlier.csv", "--from", "2d", "-o", "json")
    assert code == 0
    assert json.loads(out)["items"][0]["job_id"] == "a173"


def test_online_needs_no_history_and_takes_one_that_overlaps(call):
    for words in (["later.csv"], ["later.csv", "--history", "earlier.csv"]):
        code, out, _ = call(*words, "--online", "-o", "json")
        assert code == 0
        assert json.loads(out)["status"]["online"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["later.csv", "--history", "earlier.csv"], "--history-shift"),
        (["later.csv"], "nothing to learn from"),
        (["later.csv", "--from", "30d"], "no job from then on"),
        (["later.csv", "--from", "soon"], "--from soon"),
        (["later.csv", "--history-shift", "30d"], "give that file"),
        ([*EARLIER[:3], "--history-shift", "some", "--online"], "--history-shift some"),
        (["later.csv", "--online", "--model", "lightgbm"], "--online goes with --model history"),
        (["none.csv"], "no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_refuses(call, words, said):
    code, out, err = call(*words)
    assert code == 2
    assert out == ""
    assert said in err


def test_other_estimates_refuse_its_options(capsys, files):
    assert run(["estimate", "fabric", str(files / "later.csv"), "--online"]) == 2
    assert "only `estimate runtimes`" in capsys.readouterr().err


def test_a_trace_without_jobs_is_refused(call, files):
    (files / "none.csv").write_text(HEADER)
    code, _, err = call("none.csv", "--history", "earlier.csv")
    assert code == 2
    assert "no job" in err


def test_lightgbm_is_named_with_its_extra_when_it_is_absent(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    code, _, err = call(*EARLIER, "--model", "lightgbm")
    assert code == 3
    assert "clusterwright[ml]" in err
