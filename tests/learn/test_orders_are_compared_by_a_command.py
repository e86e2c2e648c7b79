"""`study learning`: one table of orders; the group `study` registers the command."""

import json

import pytest
from cyclopts import App
from tests.learn.test_predictions_come_as_a_command import EARLIER, files  # noqa: F401

from clusterwright.cli.study_learning import learning
from clusterwright.errors import UsageError


@pytest.fixture
def call(capsys, files, monkeypatch):  # noqa: F811
    monkeypatch.chdir(files)
    app = App(result_action="return_value")
    app.default(learning)

    def called(*words):
        code = app([*EARLIER, "--queues", "queues.csv", *words], exit_on_error=False)
        return code, capsys.readouterr().out

    return called


def test_every_order_has_a_row(call):
    code, out = call("--online", "1d", "-o", "json")
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
    with pytest.raises(UsageError, match=said):
        call(*words)


def test_jobs_that_no_queue_can_hold_are_left_out_and_told(call, files, capsys):  # noqa: F811
    text = (files / "later.csv").read_text()
    (files / "later.csv").write_text(text + "huge,5,10,64,u1,q\n")
    code, out = call("-o", "json")
    assert code == 0
    assert {item["num_jobs"] for item in json.loads(out)["items"]} == {100}
