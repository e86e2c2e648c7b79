import json

import pytest

from clusterwright import twin
from clusterwright.cli.main import run

TRACE = "job_id,submit_s,duration_s,gpus,user\na,0,100,8,ann\nb,5,50,4,bo\nc,7,500,12,\n"
FILES = {"run.json", "events.npz", "jobs.csv", "series.csv", "trace.json.gz", "month.html"}


@pytest.fixture
def simulate(tmp_path, capsys):
    (tmp_path / "trace.csv").write_text(TRACE)

    def called(*words):
        trace = str(tmp_path / "trace.csv")
        code = run(["simulate", "--nodes", "2", "--trace", trace, "-o", "json", *words])
        return code, capsys.readouterr()

    return called


def test_every_file_is_there_and_run_json_is_the_answer(tmp_path, simulate):
    code, said = simulate("--out", str(tmp_path / "run"))
    assert code == 0
    assert {one.name for one in (tmp_path / "run").iterdir()} == FILES
    written = json.loads((tmp_path / "run/run.json").read_bytes())
    assert written == json.loads(said.out)
    recording = twin.read_recording((tmp_path / "run/events.npz").read_bytes())
    assert recording.log.digest() == written["spec"]["log_digest"]


def test_the_same_run_writes_the_same_bytes_but_for_the_time_it_took(tmp_path, simulate):
    for name in ("one", "two"):
        simulate("--out", str(tmp_path / name))
    for name in FILES - {"run.json"}:
        one, two = ((tmp_path / run / name).read_bytes() for run in ("one", "two"))
        assert one == two, name


def test_a_dry_run_writes_nothing(tmp_path, simulate):
    code, _ = simulate("--out", str(tmp_path / "run"), "--dry-run")
    assert code == 0
    assert not (tmp_path / "run").exists()


WRONG = {
    "a file in its place": (["--out", "trace.csv"], 2, "this is a file"),
    "a language that is none": (["--out", "run", "--lang", "fr"], 2, "'fr'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_nothing_is_half_written(tmp_path, simulate, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    words, code, says = WRONG[name]
    left, said = simulate(*words)
    assert left == code
    assert says in said.err
    assert said.out == ""
    assert [one.name for one in tmp_path.iterdir()] == ["trace.csv"]


def test_a_cap_needs_the_draw_of_nodes_and_then_keeps_jobs_waiting(tmp_path, simulate):
    code, said = simulate("--power-cap", "11 kW")
    assert code == 2
    assert "--node-power" in said.err
    free = json.loads(simulate("--node-power", "10 kW")[1].out)
    code, said = simulate("--node-power", "10 kW", "--power-cap", "14 kW", "--zone", "DE-LU")
    capped = json.loads(said.out)
    assert code == 0
    assert capped["status"]["num_unfinished"] == 1  # twelve accelerators never fit under it
    assert capped["status"]["avg_wait_s"] > free["status"]["avg_wait_s"]
    assert free["status"]["cost_usd"] == 0 != capped["status"]["cost_usd"]
    (tmp_path / "cap.csv").write_text("start_s,cap_w\n5,x\n")
    code, said = simulate("--node-power", "10 kW", "--power-cap", str(tmp_path / "cap.csv"))
    assert code == 2
    assert "Begin at 0" in said.err
    assert "no power" in said.err


@pytest.mark.parametrize("words", [("--zone", "XX"), ("--series", "s.csv"), ("--from-day", "3")])
def test_prices_of_no_zone_are_refused(simulate, words):
    assert simulate("--node-power", "10 kW", *words)[0] == 2
