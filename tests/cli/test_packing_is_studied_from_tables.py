"""`study packing` and `catalog mig`: answers on stdout, faults of tables told, exit codes kept."""

import json

import pytest

from clusterwright.cli.main import run
from clusterwright.cli.study import STUDIES

NODES = "node,gpu_type,gpus,cpus,mem_gb\na,A10,2,16,64\nb,V100,4,32,128\nc,,0,32,64\n"
PODS = (
    "job_id,gpus,cpus,mem_gb,gpu_type\n"
    "w,1,4,8,\nx,0.5,2,8,A10\ny,0,8,16,\nz,2,8,8,A10|V100\nbad,1.5,4,8,\nworse,many,4,8,\n"
)


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "pods.csv").write_text(PODS)
    return ["--nodes", str(tmp_path / "nodes.csv"), "--trace", str(tmp_path / "pods.csv")]


@pytest.fixture
def call(capsys):
    def calling(*words):
        code = run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return calling


def test_placements_are_compared_on_the_same_arrivals(call, tables):
    words = ("study", "packing", *tables, "--placement", "fgd,foresight", "--seeds", "3")
    code, out, err = call(*words, "-o", "json")
    answer = json.loads(out)
    assert code == 0
    assert [row["name"] for row in answer["items"]] == ["fgd", "foresight"]
    assert len({row["num_pods"] for row in answer["items"]}) == 1
    assert all(0 < row["allocated_fraction"] <= 1 for row in answer["items"])
    assert answer["status"]["num_gpus"] == 6
    assert answer["status"]["seeds"] == [42, 43, 44]
    assert answer["status"]["num_dropped_rows"] == 2
    assert "pods.csv:6" in err
    assert "neither a share" in err
    assert call(*words, "-o", "json")[1] == out


def test_a_workload_known_from_another_table_is_taken(call, tables, tmp_path):
    (tmp_path / "earlier.csv").write_text("job_id,gpus,cpus,mem_gb\na,1,1,1\n")
    known = ("--typical", str(tmp_path / "earlier.csv"))
    code, out, _ = call("study", "packing", *tables, *known, "--seeds", "1", "-o", "csv", "-q")
    assert code == 0
    assert out.count("\n") == 8  # a header and seven placements


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--placement", "forsight"), "foresight"),
        (("--arrival", "0"), "arrival above 0"),
        (("--seeds", "0"), "one seed"),
        (("--typical", "--seed"), "Unknown option"),
    ],
)
def test_wrong_use_of_a_study_leaves_with_2(call, tables, words, says):
    code, out, err = call("study", "packing", *tables, *words, "-q")
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ("node,gpus,cpus\na,1,1\n", "has no column mem_gb"),
        ("node,gpus,cpus,mem_gb\na,1,8,8\n", "names no model"),
        ("node,gpus,cpus,mem_gb,gpu_type\na,1.5,8,8,A\nb,1,x,8,A\n", "is no whole number"),
        ("node,gpus,cpus,mem_gb\na,0,8,8\n", "without accelerators"),
    ],
)
def test_faults_of_a_nodes_table_are_told(call, tables, tmp_path, nodes, says):
    (tmp_path / "nodes.csv").write_text(nodes)
    code, out, err = call("study", "packing", *tables, "-q")
    assert (code, out) == (2, "")
    assert says in err


def test_every_study_shows_an_example_in_its_help(capsys):
    for name, about, _ in STUDIES:
        assert run(["study", name, "--help"]) == 0
        said = capsys.readouterr().out
        assert about in " ".join(said.split())
        assert said.count(f"clusterwright study {name}") >= 2


def test_layouts_of_a_part_are_listed_with_their_positions(call):
    code, out, _ = call("catalog", "mig", "GB200-per-GPU", "-o", "json")
    items = json.loads(out)["items"]
    assert code == 0
    assert len(items) == 7
    assert items[1]["positions"] == "3g.93gb@0, 3g.93gb@4"
    assert items[1]["instances"] == "2×3g.93gb"


def test_seats_are_told_by_way_of_sharing(call):
    out = json.loads(call("catalog", "mig", "H100", "--seat", "9 GB", "-o", "json")[1])
    seats = {name: out["items"][0][name] for name in ("exclusive", "mig", "time_sliced")}
    assert seats == {"exclusive": 1, "mig": 7, "time_sliced": 8}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("mig", "MI300X"), "cannot be cut"),
        (("mig", "H100", "--seat", "0 GB"), "--seat 0 GB"),
        (("servers", "--seat", "9 GB"), "catalog mig"),
        (("migs",), "mig"),
    ],
)
def test_wrong_use_of_catalog_mig_leaves_with_2(call, words, says):
    code, out, err = call("catalog", *words)
    assert (code, out) == (2, "")
    assert says in err
