"""Every command: the payload alone on stdout, no ANSI, exit codes as documented."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.plan.conftest import ROOT

from clusterwright.cli.main import COMMANDS, SUBCOMMANDS, run

WORKED = str(ROOT / "examples/autonomous-driving/centre.yaml")
UNIVERSITY = str(ROOT / "examples/university/centre.yaml")
FABRICS = "id,gpus,radix_per_plane,planes,switch_ports,ufm_included,note\na,1024,64,1,64,no,x\n"
ENCODERS = (
    "id,encoder,gpu,gpus,batch,precision,measured_samples_per_s\n"
    "a,resnet-50,A100-80GB,8,256,amp,16621\n"
    "b,bevfusion,H100,64,4,,\n"
)
RUNS = (
    "id,family,model,gpu,gpus,tp,pp,dp,global_batch,precision,measured_step_time_s\n"
    "a,one,gpt3-175b,A100-80GB,64,8,8,1,64,fp16,18.1\n"
    "b,one,gpt3-175b,A100-80GB,512,8,8,8,512,fp16,18.4\n"
    "c,two,llama-3.1-70b,H100,64,4,4,4,128,bf16,7.3\n"
)


def asking(**changed):
    """Return a search of a small space with options changed."""
    options = {
        "--model": "llama-2-7b",
        "--accelerator": "A100-SXM4-80GB",
        "--gpus": "16",
        "--global-batch": "64",
    }
    options |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return ["search", "training", *(word for pair in options.items() for word in pair)]


TRACE = "job_id,submit_s,duration_s,gpus\na,0,100,8\nb,5,50,4\n"
STREAM = TRACE + "".join(f"{n},{n * 60},{n % 7 * 50},{1 + n % 8}\n" for n in range(1, 30))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "fabrics.csv").write_text(FABRICS)
    (folder / "trace.csv").write_text(TRACE)
    (folder / "stream.csv").write_text(STREAM)
    (folder / "runs.csv").write_text(RUNS)
    (folder / "encoders.csv").write_text(ENCODERS)
    for name, demand in (("before", WORKED), ("after", UNIVERSITY)):
        assert run(["plan", demand, "--out", str(folder / name), "-q", "-o", "name"]) == 0
    return folder


def commands(files):
    return {
        "plan": ["plan", WORKED],
        "explain the language": ["explain", "site"],
        "explain a demand": ["explain", "-f", WORKED],
        "explain a design": ["explain", "spec.facility", "-f", str(files / "before")],
        "check a demand": ["check", WORKED],
        "check a design": ["check", str(files / "before")],
        "diff": ["diff", str(files / "before"), str(files / "after")],
        "diff of the same": ["diff", str(files / "before"), str(files / "before")],
        "estimate fabric": ["estimate", "fabric", str(files / "fabrics.csv")],
        "estimate training": ["estimate", "training", str(files / "runs.csv")],
        "estimate encoder": ["estimate", "encoder", str(files / "encoders.csv")],
        "estimate runtimes": ["estimate", "runtimes", str(files / "trace.csv"), "--online"],
        "calibrate training": ["calibrate", "training", str(files / "runs.csv")],
        "search training": asking(),
        "simulate a demand": [
            *("simulate", str(files / "before"), "--demand", WORKED, "--days", "3"),
        ],
        "simulate a trace": ["simulate", "--nodes", "2", "--trace", str(files / "trace.csv")],
        "simulate a trace on a design": [
            *("simulate", str(files / "before"), "--trace", str(files / "trace.csv")),
        ],
        "study energy": [
            *("study", "energy", str(files / "before"), "--demand", WORKED, "--days", "15"),
            *("--zones", "DE-LU"),
        ],
        "study tune": [
            *("study", "tune", str(files / "stream.csv"), "--nodes", "1", "--from", "20min"),
            *("--windows", "1", "--budget", "3", "--against", "smallest"),
        ],
        "simulate into files": [
            *("simulate", "--nodes", "2", "--trace", str(files / "trace.csv")),
            *("--out", str(files / "run")),
        ],
        "policies": ["simulate", "--list"],
        "trace convert": [
            *("trace", "convert", str(files / "trace.csv"), "--out", str(files / "again.csv")),
        ],
        "trace show": ["trace", "show", str(files / "trace.csv")],
        "trace generate": ["trace", "generate", "--like", str(files / "trace.csv"), "--jobs", "9"],
        "catalog": ["catalog"],
        "catalog accelerators": ["catalog", "accelerators"],
        "catalog encoder": ["catalog", "encoders", "resnet-50"],
        "catalog one": ["catalog", "accelerators", "H100"],
        "doctor": ["doctor"],
        "demo": ["demo", "--out", str(files / "demo"), "--no-live"],
    }


@pytest.fixture
def call(capsys):
    def called(*words):
        code = run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


@pytest.mark.parametrize("form", ["json", "yaml", "csv", "jsonl", "name", "table", "wide"])
def test_stdout_holds_the_payload_alone(files, call, form):
    for name, words in commands(files).items():
        code, out, _ = call(*words, "-o", form)
        assert code == 0, name
        assert "\x1b" not in out, name
        match form:
            case "json":
                value = json.loads(out)
                assert value["apiVersion"] == "clusterwright/v1", name
                assert "items" in value or "spec" in value, name
            case "yaml":
                assert yaml.safe_load(out)["apiVersion"] == "clusterwright/v1", name
            case "csv":
                rows = list(csv.reader(io.StringIO(out)))
                assert len({len(row) for row in rows}) <= 1, name
            case "jsonl":
                assert all(json.loads(line) for line in out.splitlines()), name


def test_an_empty_list_is_an_empty_list(files, call):
    _, out, _ = call("diff", str(files / "before"), str(files / "before"), "-o", "json")
    assert json.loads(out)["items"] == []


def test_quiet_leaves_stderr_empty(files, call):
    for name, words in commands(files).items():
        _, _, err = call(*words, "-q", "-o", "json")
        assert err == "", name


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["plan", "nothing.yaml"], 2, "no such file"),
        (["plan", "."], 2, "directory"),
        (["plan", "--ouput", "json", WORKED], 2, "Did you mean --output?"),
        (["report", "-z"], 2, "Unknown option: -z"),
        (["simulate", "--nodes", "2", "--trace", "x.csv"], 2, "x.csv: no such file."),
        (["trace", "shw", "x.csv"], 2, 'Did you mean "show"?'),
        (["trace", "show", "x.csv"], 2, "x.csv: no such file."),
        (["trace", "show", "--formt", "swf"], 2, "Did you mean --format?"),
        (["trace", "show", WORKED], 2, "format cannot be told"),
        (["trace", "generate", "--scale", "2"], 2, "--like"),
        (["check", "nowhere/design.yaml"], 2, "clusterwright plan"),
        (["study", "energy", WORKED], 2, "--demand FILE"),
        (["study", "energy", WORKED, "--demand", WORKED, "--zones", "DE-LV"], 2, "DE-LU?"),
        (["study", "energy", WORKED, "--demand", WORKED, "--series", "x.csv"], 2, "no such file"),
        (["study", "energy", WORKED, "--demand", WORKED, "--from-day", "400"], 2, "--from-day"),
        (["study", "energy", WORKED, "--signal", "both", "--demand", WORKED], 2, "USD/t"),
        (["study", "energy", "--sreies", "x", WORKED], 2, "Unknown option"),
        (["plan", WORKED, "--lang", "fr"], 2, "en"),
        (["plan", WORKED, "-o", "xml"], 2, "json"),
        (["plan", WORKED, "--catalog", "nowhere"], 2, "directory"),
        (["pln", WORKED], 2, "plan"),
        (["plan", WORKED, "--ot", "x"], 2, "--out"),
        (["plan", WORKED, "-o", "sarif"], 2, "check"),
        (["catalog", "accelerator"], 2, "accelerators"),
        (["catalog", "accelerators", "A100"], 2, "A100-SXM4-80GB or A100-SXM4-40GB"),
        (["catalog", "accelerators", "--columns", "nme"], 2, "name"),
        (["catalog", "accelerators", "--filter", "vendor"], 2, "column=value"),
        (["explain", "site.colling"], 2, "site.cooling"),
        (["schema", "Demnd"], 2, "Demand"),
        (["search", "training"], 2, "--model"),
        (asking(model="llama2-7b"), 2, "llama-2-7b"),
        (asking(accelerator="A100"), 2, "A100-SXM4-80GB or A100-SXM4-40GB"),
        (asking(precision="fp8"), 2, "bf16"),
        (asking(software="megatron"), 2, "megatron-"),
        (asking(fix="zero=1"), 2, "zero_stage"),
        (asking(fix="tp"), 2, "tp=VALUE"),
        (asking(gpus="1.5"), 2, "whole number"),
        (["simulate"], 2, "--nodes"),
        (["simulate", "--nodes", "2", "--trace", "x.csv", "--policy", "fifoo"], 2, "fifo"),
        (["simulate", "--nodes", "0", "--trace", "x.csv"], 2, "at least 1"),
        (
            ["simulate", "--nodes", "2", "--trace", "x.csv", "--backfill", "conservativ"],
            2,
            "conservative",
        ),
    ],
    ids=lambda one: " ".join(one)[:60] if isinstance(one, list) else None,
)
def test_wrong_use_leaves_with_2_and_says_what_to_write(call, words, code, says):
    left, out, err = call(*words)
    assert left == code, err
    assert out == ""
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["plan", "-"], "centre.yaml"),
        (["plan", "-f", "-"], "centre.yaml"),
        (["check", "-"], "before/design.yaml"),
        (["explain", "spec.facility", "-f", "-"], "before/design.yaml"),
        (["report", "-", "--out", "-"], "before/design.yaml"),
        (["diff", "-", WORKED], "centre.yaml"),
        (["estimate", "fabric", "-"], "fabrics.csv"),
        (["simulate", "--nodes", "2", "--trace", "-"], "trace.csv"),
    ],
    ids=lambda one: " ".join(one)[:40] if isinstance(one, list) else None,
)
def test_a_hyphen_is_stdin(files, call, monkeypatch, words, given):
    path = Path(UNIVERSITY) if given == "centre.yaml" else files / given
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    code, out, err = call(*words)
    if words[0] == "diff":  # a demand is no design; the fault names stdin
        assert (code, "-:" in err) == (2, True), err
    else:
        assert (code, bool(out)) == (0, True), err


def test_the_file_may_be_named_by_its_option(files, call):
    for words in (["plan"], ["check"], ["explain"]):
        assert call(*words, "-f", UNIVERSITY, "-o", "json")[0] == 0


def test_a_design_is_not_run_under_the_demand_of_another(files, call):
    code, out, err = call("simulate", str(files / "before"), "--demand", UNIVERSITY, "--days", "1")
    assert (code, out) == (2, "")
    assert "research-groups" in err


def test_a_dry_demo_runs_in_full_and_writes_nothing(call, tmp_path):
    code, out, _ = call("demo", "--out", str(tmp_path / "demo"), "--dry-run", "-q")
    assert (code, "Nothing was written." in out) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_init_writes_nothing_and_says_so(call, tmp_path):
    code, _, err = call("init", str(tmp_path / "new.yaml"), "--dry-run")
    assert (code, "would write" in err) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_a_search_tells_all_that_is_wrong_at_once(call):
    wrong = {"model": "gpt4", "gpus": "-8", "global_batch": "many", "top": "0", "fix": "tq=1"}
    code, out, err = call(*asking(accelerator="H10", **wrong))
    assert code == 2
    assert out == ""
    for part in ("--gpus: '-8'", "--global-batch: 'many'", "--top: '0'", "H100", "--fix tq=1"):
        assert part in err


def test_a_search_answers_alike_in_full_and_by_bounds(call):
    answers = []
    for words in (asking(), [*asking(), "--exhaustive"]):
        code, out, _ = call(*words, "--no-what-if", "-o", "json")
        assert code == 0
        answers.append(json.loads(out))
    pruned, full = answers
    assert pruned["items"] == full["items"]
    assert full["status"]["num_evaluated"] == full["status"]["num_points"]
    assert pruned["status"]["num_evaluated"] < full["status"]["num_evaluated"]
    best = full["items"][0]
    parts = sum(value for name, value in best["time"].items() if name != "hidden_s")
    assert parts == pytest.approx(best["step_time_s"])
    assert sum(best["memory"].values()) == pytest.approx(best["memory_bytes"])
    assert set(best["sensitivity"]["elasticity"]) == {
        *("flop_per_s", "memory_bytes_per_s", "scaleup_bytes_per_s", "scaleout_bytes_per_s"),
        *("latency_s", "memory_bytes"),
    }


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": "gpt3-175b", "gpus": "8"}, "short by"),
        ({"gpus": "37", "global_batch": "5"}, "1 because dp does not divide"),
        ({"fix": "tp=3"}, "fixed choices"),
    ],
)
def test_a_search_without_an_answer_leaves_with_1_and_says_what_lacks(call, changed, says):
    code, out, _ = call(*asking(**changed), "-o", "json")
    assert code == 1
    answer = json.loads(out)
    assert answer["items"] == []
    assert answer["status"]["feasible"] is False
    assert says in answer["status"]["reason"]


def test_the_page_of_a_search_is_no_wider_than_a_terminal(call):
    _, out, _ = call(*asking())
    assert max(len(line) for line in out.splitlines()) <= 120


def test_an_infeasible_demand_leaves_with_1_and_still_answers(call, tmp_path):
    text = Path(WORKED).read_text(encoding="utf-8").replace("14 days", "3 days")
    demand = tmp_path / "centre.yaml"
    demand.write_text(text, encoding="utf-8")
    code, out, _ = call("plan", str(demand), "-o", "json")
    assert code == 1
    status = json.loads(out)["status"]
    assert status["feasible"] is False
    assert status["conflicts"]
    assert status["relaxations"]


def test_a_demand_with_faults_leaves_with_2_and_writes_nothing(call, tmp_path):
    demand = tmp_path / "centre.yaml"
    demand.write_text("apiVersion: clusterwright/v1\nkind: Demand\nname: x\nworkload: []\n")
    code, out, err = call("plan", str(demand), "--out", str(tmp_path / "out"))
    assert code == 2
    assert out == ""
    assert "centre.yaml:4:1: workload" in err
    assert not (tmp_path / "out").exists()


def test_names_that_the_catalogue_does_not_know_are_told_with_their_place(call, tmp_path):
    text = Path(WORKED).read_text(encoding="utf-8")
    text = text.replace("H100-SXM5-80GB]", "H1000-SXM]").replace("cn-shanghai", "cn-shangai")
    demand = tmp_path / "centre.yaml"
    demand.write_text(text, encoding="utf-8")
    code, _, err = call("plan", str(demand))
    assert code == 2
    lines = text.splitlines()
    for word, near in (("H1000-SXM", "H100-SXM"), ("cn-shangai", "cn-shanghai")):
        place = next(n for n, line in enumerate(lines, start=1) if word in line)
        assert f":{place}:" in err
        assert near in err


def test_dry_run_writes_nothing(call, tmp_path):
    assert call("plan", WORKED, "--out", str(tmp_path / "out"), "--dry-run")[0] == 0
    assert call("init", str(tmp_path / "centre.yaml"), "--dry-run")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_init_writes_a_demand_that_plans_and_never_overwrites(call, tmp_path):
    path = tmp_path / "centre.yaml"
    assert call("init", str(path))[0] == 0
    assert call("plan", str(path), "-o", "name")[0] == 0
    assert call("init", str(path))[0] == 4
    assert call("init", str(path), "--yes", "--example", "university")[0] == 0
    assert "university" in path.read_text(encoding="utf-8")


def test_diff_can_leave_with_1(files, call):
    before, after = str(files / "before"), str(files / "after")
    assert call("diff", before, after, "--exit-code")[0] == 1
    assert call("diff", before, before, "--exit-code")[0] == 0


def test_estimates_keep_every_column_and_its_order(files, call):
    _, out, _ = call("estimate", "fabric", str(files / "fabrics.csv"), "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0])[:7] == FABRICS.splitlines()[0].split(",")
    assert (rows[0]["predicted_leaf"], rows[0]["predicted_spine"]) == ("32", "16")


def test_faults_of_rows_are_told_all_at_once(call, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("gpus,radix_per_plane\n8,64\nx,64\n8,\n99999999,64\n")
    code, out, err = call("estimate", "fabric", str(path), "-o", "csv")
    assert code == 2
    assert out == ""
    for line in (3, 4, 5):
        assert f"rows.csv:{line}" in err


def test_the_report_shows_a_run_that_simulate_printed(files, call, tmp_path):
    _, out, _ = call(
        *("simulate", str(files / "before"), "--demand", WORKED, "--days", "2", "-o", "json")
    )
    month = tmp_path / "month.json"
    month.write_text(out, encoding="utf-8")
    code, page, _ = call("report", str(files / "before"), "--run", str(month))
    assert code == 0
    without = call("report", str(files / "before"))[1]
    assert page.count("<svg") > without.count("<svg")
    code, _, err = call("report", str(files / "before"), "--run", str(files / "before/design.yaml"))
    assert code == 2
    assert "kind: Simulation" in err


def test_sarif_is_what_scanners_read(call, tmp_path):
    demand = tmp_path / "centre.yaml"
    demand.write_text("apiVersion: clusterwright/v1\nkind: Demand\nname: x\nworkload: []\n")
    code, out, _ = call("check", str(demand), "-o", "sarif")
    assert code == 1
    log = json.loads(out)
    assert log["version"] == "2.1.0"
    results = log["runs"][0]["results"]
    region = results[-1]["locations"][0]["physicalLocation"]["region"]
    assert region["startLine"] == 4
    known = {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in results} <= known


def test_every_command_shows_two_examples_in_its_help(capsys):
    every = [((name,), about) for name, about, _ in COMMANDS]
    for name, some in SUBCOMMANDS.items():
        every += [((name, verb), about) for verb, about, _ in some]
    for name, about in every:
        assert run([*name, "--help"]) == 0
        out = capsys.readouterr().out
        examples = out.split("Examples:")[1].strip().splitlines()
        assert len(examples) >= 2, name
        assert all("clusterwright" in line for line in examples), name
        assert about.split(",")[0][:20] in out.replace("\n", " "), name


def test_a_broken_pipe_ends_quietly():
    command = f"{sys.executable} -m clusterwright catalog defaults -o csv | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_the_program_runs_as_a_module_and_names_its_version():
    words = [sys.executable, "-m", "clusterwright", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip().startswith("0.")


def test_a_calibration_is_an_overlay_that_the_catalogue_takes(files, tmp_path, capsys):
    out = tmp_path / "mine"
    runs = str(files / "runs.csv")
    assert (
        run(["calibrate", "training", runs, "--out", str(out), "--date", "2026-11-25", "-q"]) == 0
    )
    assert {one.name for one in out.iterdir()} == {
        "step_factors.csv",
        "step_errors.csv",
        "sources.csv",
    }
    capsys.readouterr()
    estimate = ["estimate", "training", runs, "-o", "json", "-q"]
    assert run([*estimate, "--catalog", str(out)]) == 0
    fitted = json.loads(capsys.readouterr().out)["status"]["error"]
    assert run(estimate) == 0
    shipped = json.loads(capsys.readouterr().out)["status"]["error"]
    assert fitted["mean_fraction"] <= shipped["mean_fraction"]
    (source,) = list(csv.DictReader((out / "sources.csv").read_text().splitlines()))
    assert source["read_on"] == "2026-11-25"
    assert "3 rows of 2 families" in source["where"]


def test_a_calibration_that_is_only_tried_writes_nothing(files, tmp_path):
    out = tmp_path / "mine"
    words = ["calibrate", "training", str(files / "runs.csv"), "--out", str(out), "--dry-run", "-q"]
    assert run(words) == 0
    assert not out.exists()


def test_rows_of_which_none_can_be_scored_are_refused(tmp_path, capsys):
    runs = tmp_path / "runs.csv"
    runs.write_text("id,model,gpu\na,gpt3-175b,H100\n")
    assert run(["calibrate", "training", str(runs), "-q"]) == 2
    assert "no row can be scored" in capsys.readouterr().err


def test_encoders_are_held_against_measured_rates(call, files, tmp_path):
    code, out, err = call("estimate", "encoder", str(files / "encoders.csv"), "-o", "json")
    document = json.loads(out)
    assert code == 0
    assert document["kind"] == "EncoderEstimateList"
    assert document["status"]["error"]["num_rows"] == 1
    assert len(document["items"][0]["operators"]) > 50
    assert "measured rows" in err
    bad = tmp_path / "bad.csv"
    bad.write_text("encoder,gpu,gpus,batch\nresnet-5,H100,8,0\n")
    code, out, err = call("estimate", "encoder", str(bad))
    assert (code, out) == (2, "")
    assert f"{bad}:2:1: encoder" in err
    assert "resnet-50" in err
    assert f"{bad}:2:4: batch" in err


def test_the_sheet_of_an_encoder_lists_its_operators(call):
    code, out, _ = call("catalog", "encoders", "resnet-50")
    assert code == 0
    assert "conv5 expand" in out
    assert out.rstrip().splitlines()[-1].split() == ["in", "all", "4.09", "B", "25.6", "M"]
