"""`study learning`: one table of orders."""

import json

import pytest
from tests.learn.conftest import EARLIER

from clusterwright.cli.main import run


@pytest.fixture
def call(capsys, files, monkeypatch):
    monkeypatch.chdir(files)

    def called(*words):
        code = run(["study", "learning", *EARLIER, "--queues", "queues.csv", *words])
        answer = capsys.readouterr()
        return code, answer.out, answer.err

    return called


def test_every_order_has_a_row(call):
    code, out, _ = call("--online", "1d", "-o", "json")
    names = [item["name"] for item in json.loads(out)["items"]]
    assert code == 0
    assert names == [
        *("fifo", "smallest-first", "predicted", "predicted, guarded", "predicted, online", "sjf"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--online", "0s"), "--online 0s"), (("--guard", "long"), "--guard long")],
)
def test_it_refuses(call, words, said):
    code, _, err = call(*words)
    assert code == 2
    assert said in err


def test_jobs_that_no_queue_can_hold_are_left_out_and_told(call, files):
    text = (files / "later.csv").read_text()
    (files / "later.csv").write_text(text + "huge,5,10,64,u1,q\n")
    code, out, err = call("-o", "json")
    assert code == 0
    assert {item["num_jobs"] for item in json.loads(out)["items"]} == {100}
    assert "1 of 101 jobs left out" in err
