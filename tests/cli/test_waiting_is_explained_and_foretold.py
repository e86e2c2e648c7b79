"""`simulate --when` and `study starts` on the command line."""

import json

import pytest

from clusterwright.cli.main import run

HEAD = "job_id,submit_s,duration_s,gpus,nodes,gpu_type,cpus,mem_gb,user,vc,priority,status\n"


@pytest.fixture
def files(tmp_path):
    trace, queues = tmp_path / "jobs.csv", tmp_path / "queues.csv"
    rows = [f"j{n},{600 * n},{4000 + 300 * (n % 5)},8,1,,,,u,a,0,\n" for n in range(60)]
    trace.write_text(HEAD + "".join(rows), encoding="utf-8")
    queues.write_text("queue,nodes\na,1\n", encoding="utf-8")
    return str(trace), str(queues)


def test_a_run_stops_and_says_who_waits_why_and_until_when(files, capsys):
    trace, queues = files
    words = ["simulate", "--trace", trace, "--queues", queues, "--when", "5h", "-o", "json"]
    assert run(words) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert items[0]["reason"] == "WAITING_FOR_RESOURCES"
    assert items[1]["reason"] == "BEHIND_PRIORITY"
    assert 0 < items[0]["start_in_p50_s"] <= items[0]["start_in_p90_s"]


def test_a_study_says_how_often_starts_came_true(files, capsys):
    trace, queues = files
    words = ["study", "starts", trace, "--queues", queues, "--every", "2h", "--samples", "5"]
    assert run([*words, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = [item["name"] for item in document["items"]]
    assert names == ["the twin", "the twin, mended", "waits of the queue"]


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "--nodes", "2", "--when", "5h"],
        ["simulate", "--trace", "TRACE", "--queues", "QUEUES", "--when", "soon"],
        ["simulate", "--trace", "TRACE", "--queues", "QUEUES", "--when", "5h", "--out", "there"],
        ["study", "starts", "TRACE", "--queues", "QUEUES", "--every", "0h"],
        ["study", "starts", "TRACE", "--queues", "QUEUES", "--samples", "0"],
        ["study", "starts", "TRACE", "--queues", "QUEUES", "--from", "90d"],
    ],
)
def test_wrong_use_is_told(words, files, capsys):
    trace, queues = files
    given = [{"TRACE": trace, "QUEUES": queues}.get(word, word) for word in words]
    assert run(given) == 2
    assert "Traceback" not in capsys.readouterr().err
