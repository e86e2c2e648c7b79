"""The verbs of a running centre: up, submit, follow, look, change, down, as users call them."""

import csv
import io
import json
import time

import pytest
import yaml

from clusterwright.cli.main import run

JOB = """\
apiVersion: clusterwright/v1
kind: Job
name: greet
nodes: 2
gpus_per_node: 2
command: echo rank $RANK of $WORLD_SIZE
"""
ENDLESS = JOB.replace("echo rank $RANK of $WORLD_SIZE", "echo waiting; exec sleep 600")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A user's directories, with a centre of four emulated nodes up."""
    base = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for what in ("CONFIG", "DATA", "STATE", "CACHE"):
            patch.setenv(f"XDG_{what}_HOME", str(base / what.lower()))
        for name in ("CLUSTERWRIGHT_URL", "CLUSTERWRIGHT_TOKEN", "CLUSTERWRIGHT_CONTEXT"):
            patch.delenv(name, raising=False)
        (base / "job.yaml").write_text(JOB)
        (base / "endless.yaml").write_text(ENDLESS)
        words = ["up", "--nodes", "4", "--gpus-per-node", "4", "--listen", "127.0.0.1:0", "-q"]
        assert run(words) == 0
        yield base
        assert run(["down", "--jobs", "-q"]) == 0


@pytest.fixture
def call(home, capsys):
    def called(*words):
        code = run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    yield called
    active = json.loads(called("ps", "-o", "json")[1])["items"]
    if active:
        called("cancel", *(job["job_id"] for job in active))


def _submitted(call, home, file="job.yaml", *more):
    code, out, err = call("submit", str(home / file), "-o", "name", *more)
    assert code == 0, err
    return out.strip()


def test_a_job_is_run_and_its_log_is_the_output(call, home):
    code, out, err = call("run", str(home / "job.yaml"), "--rank", "3")
    assert code == 0
    assert out == "rank 3 of 4\n"
    assert "COMPLETED" in err


def test_a_job_that_fails_says_so_by_the_exit_code(call, home):
    code, _, err = call("run", str(home / "job.yaml"), "--set", "command=exit 3")
    assert code == 1
    assert "FAILED" in err


@pytest.mark.parametrize("form", ["json", "yaml", "csv", "jsonl", "name", "table", "wide"])
def test_stdout_holds_the_payload_alone(call, home, form):
    job = _submitted(call, home, "endless.yaml", "--set", "nodes=1")
    whole = ("--set", "nodes=4", "--set", "gpus_per_node=4")  # it does not fit beside the other
    held = _submitted(call, home, "endless.yaml", "--hold", *whole)
    commands = (
        ("ps",),
        ("ps", "--all"),
        ("ps", "--state", "held"),
        ("why", held),
        ("events", held),
        ("nodes",),
        ("queues",),
        ("quota",),
        ("cost",),
        ("cost", "--by", "job"),
        ("energy",),
        ("top", "--once"),
        ("token", "list"),
        ("submit", str(home / "job.yaml"), "--dry-run"),
        ("drain", "node4", "--why", "cable"),
        ("undrain", "node4"),
        ("release", held),
        ("hold", held),
        ("cancel", job, held),
        ("wait", job, held),
    )
    for words in commands:
        code, out, err = call(*words, "-o", form)
        assert code == (1 if words[0] == "wait" else 0), f"{words}: {err}"
        assert "\x1b" not in out, words
        match form:
            case "json":
                assert json.loads(out)["apiVersion"] == "clusterwright/v1", words
            case "yaml":
                assert yaml.safe_load(out)["apiVersion"] == "clusterwright/v1", words
            case "csv":
                rows = list(csv.reader(io.StringIO(out)))
                assert len({len(row) for row in rows}) <= 1, words
            case "jsonl":
                assert all(json.loads(line) for line in out.splitlines()), words


def test_a_job_that_waits_says_why(call, home):
    first = _submitted(call, home, "endless.yaml", "--set", "nodes=4", "--set", "gpus_per_node=4")
    second = _submitted(call, home, "endless.yaml")
    _, out, _ = call("why", second, "-o", "json")
    assert json.loads(out)["spec"]["reason"] == "WAITING_FOR_RESOURCES"
    never = _submitted(call, home, "job.yaml", "--set", "nodes=9")
    _, out, _ = call("why", never)
    assert "NO_MATCHING_HARDWARE" in out
    assert call("cancel", first, second, never)[0] == 0


def test_a_quota_is_shown_tried_and_changed(call, home):
    job = _submitted(call, home, "endless.yaml", "--set", "nodes=4", "--set", "gpus_per_node=4")
    waits = _submitted(call, home, "endless.yaml")
    _, out, _ = call("quota", "default", "--limit", "18", "--dry-run", "-o", "json")
    tried = json.loads(out)
    assert tried["kind"] == "ChangeEffects"
    assert {one["jobs"] for one in tried["items"]} == {"waiting", "coming"}
    code, out, err = call("quota", "default", "--guarantee", "+4", "--limit", "18", "-o", "json")
    assert code == 0, err
    (row,) = json.loads(out)["items"]
    assert (row["guarantee"], row["limit"], row["used"]) == (4.0, 18.0, 16.0)
    assert (row["owed"], row["left"]) == (0.0, 2.0)
    assert call("cancel", job)[0] == 0
    assert call("quota", "default", "--guarantee", "0", "--limit", "none")[0] == 0
    assert call("cancel", waits)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--limit", "4"),
        ("default", "--dry-run"),
        ("other",),
        ("other", "--limit", "4"),
        ("default", "--limit", "lots"),
        ("default", "--guarantee", "8", "--limit", "4"),
    ],
)
def test_a_quota_that_cannot_be_is_refused_and_nothing_changes(call, words):
    before = call("quota", "-o", "json")[1]
    code, _, err = call("quota", *words)
    assert code == 2, err
    assert "fault of clusterwright" not in err
    assert call("quota", "-o", "json")[1] == before


def test_a_requeued_job_starts_again_as_another_attempt(call, home):
    job = _submitted(call, home, "endless.yaml")
    _until_log(call, job)
    assert call("requeue", job)[0] == 0
    end = time.monotonic() + 60
    while time.monotonic() < end:
        _, out, _ = call("ps", "--all", "-o", "json")
        found = next(one for one in json.loads(out)["items"] if one["job_id"] == job)
        if found["num_attempts"] == 2 and found["state"] == "RUNNING":
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"job {job} is {found['state']} with {found['num_attempts']} attempts")
    assert call("cancel", job)[0] == 0
    assert call("wait", job, "--timeout", "60")[0] == 1


def test_waiting_ends_when_the_time_has_passed(call, home):
    job = _submitted(call, home, "endless.yaml")
    code, _, err = call("wait", job, "--timeout", "0.1")
    assert code == 124
    assert "after" in err
    call("cancel", job)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("why", "999"), 2, "no job '999'"),
        (("logs", "999"), 2, "no job '999'"),
        (("cancel",), 2, "name a job"),
        (("drain", "nowhere"), 2, "no node 'nowhere'"),
        (("undrain", "node1"), 4, "not drained"),
        (("token", "add"), 2, "name whose token"),
        (("token", "add", "ann", "--role", "king"), 2, "none of"),
        (("ps", "--context", "elsewhere"), 2, "context 'elsewhere'"),
        (("submit", "nothing.yaml"), 2, "no such file"),
        (("up", "--nodes", "2", "--listen", "127.0.0.1:0"), 4, "runs"),
        (("up", "--listen", "0.0.0.0:0", "--foreground"), 2, "--plain-http"),
        (("up", "--listen", "nowhere"), 2, "ADDRESS:PORT"),
        (("cost", "--since", "yesterday"), 2, "no time"),
    ],
)
def test_what_is_wrong_is_said_with_the_exit_code(call, words, code, says):
    found, out, err = call(*words)
    assert (found, out) == (code, "")
    assert says in err


def test_a_job_with_faults_names_them_all_with_their_places(call, home):
    (home / "wrong.yaml").write_text(JOB.replace("nodes: 2", "nodes: 0").replace("greet", "G!"))
    code, _, err = call("submit", str(home / "wrong.yaml"))
    assert code == 2
    assert "wrong.yaml:3:7: name" in err
    assert "wrong.yaml:4:8: nodes" in err


def test_a_user_with_a_token_sees_only_their_project(call, home, monkeypatch):
    _, out, _ = call("token", "add", "eve", "--project", "speech", "-o", "name")
    job = _submitted(call, home, "endless.yaml")
    monkeypatch.setenv("CLUSTERWRIGHT_TOKEN", out.strip())
    assert call("ps")[1] == "no jobs\n"
    assert call("why", job)[0] == 2
    assert call("submit", str(home / "job.yaml"))[0] == 3
    monkeypatch.delenv("CLUSTERWRIGHT_TOKEN")
    assert call("token", "revoke", "eve")[0] == 0
    call("cancel", job)


def test_a_restarted_server_knows_everything_again(call, home):
    job = _submitted(call, home, "endless.yaml")
    _until_log(call, job)
    assert call("down", "-q")[0] == 0
    assert call("ps")[0] == 3
    assert call("backup", str(home / "copy.sqlite"))[0] == 0
    assert call("up", "--listen", "127.0.0.1:0", "-q")[0] == 0
    _, out, _ = call("ps", "-o", "json")
    found = next(one for one in json.loads(out)["items"] if one["job_id"] == job)
    assert found["state"] == "RUNNING"
    assert found["num_attempts"] == 1
    assert call("restore", str(home / "copy.sqlite"), "--state-dir", str(home / "new"))[0] == 0
    call("cancel", job)


def _until_log(call, job):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if call("logs", job)[1]:
            return
        time.sleep(0.05)
    pytest.fail(f"job {job} wrote nothing")
