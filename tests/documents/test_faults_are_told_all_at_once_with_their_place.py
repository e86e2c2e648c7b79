"""Reading: every fault at once, each with line, column, path, and what to write instead."""

import pytest
from tests.plan.conftest import EXAMPLES

from clusterwright import documents
from clusterwright.errors import InvalidInput
from clusterwright.model.demand import Demand

HEAD = "apiVersion: clusterwright/v1\nkind: Demand\nname: x\n"
BAD = """\
apiVersion: clusterwright/v1
kind: Demnd
name: 3
site: {regoin: x, rack_power: 45, cooling: airr, power_price: 3}
workloads:
  - training: a
    model: {layers: 3}
    tokens: 4 Q
    within: -3 d
  - trainin: b
  - seats: c
    people: many
    gpu: no
  - experiments: e
    jobs_per_day: 3
    gpus: {1: 60 %, 8: 30 %}
    duration: {median: 2 h, p95: 1 h}
objective: speed
"""
WANTED = {
    (2, "kind", "kind: Demand"),
    (3, "name", "text"),
    (4, "site.regoin", "region"),
    (4, "site.rack_power", "10.2 kW"),
    (4, "site.cooling", "air"),
    (4, "site.power_price", "hourly"),
    (7, "workloads[0].model", "hidden"),
    (8, "workloads[0].tokens", "15.6 T"),
    (9, "workloads[0].within", "below zero"),
    (10, "workloads[1]", "training, experiments"),
    (12, "workloads[2].people", "whole number"),
    (17, "workloads[3].duration", "median"),
    (18, "objective", "cost, time, carbon"),
}


def faults(text):
    with pytest.raises(InvalidInput) as caught:
        documents.read(text, Demand, file="centre.yaml")
    return caught.value.faults


def test_all_faults_of_a_file_are_told_at_once():
    told = faults(BAD)
    for line, path, words in WANTED:
        assert any(
            fault.line == line and fault.path == path and words in str(fault) for fault in told
        ), (line, path, words)
    assert len(told) == len(WANTED) + 1  # the architecture lacks two fields


def test_work_of_an_unknown_kind_is_told_the_nearest():
    told = faults(HEAD + "workloads: [{trainin: a, tokens: 1 T}]\n")
    assert "'trainin' looks like 'training'" in str(told[0])


def test_a_message_names_file_line_column_path_and_remedy():
    told = faults(HEAD + "workloads: [{seats: a, people: 1, gpu: x}]\nsite: {cooling: airr}\n")
    assert str(told[0]) == (
        "centre.yaml:5:17: site.cooling: 'airr' is not allowed. Did you mean air? "
        "Allowed: air, liquid."
    )


@pytest.mark.parametrize(
    ("text", "says"),
    {
        "an empty file": ("", "empty"),
        "a list": ("- a\n", "a list"),
        "a duplicate key": (HEAD + "name: y\n", "stands twice"),
        "a merge key": (HEAD + "<<: {a: 1}\n", "merge keys"),
        "a foreign tag": (HEAD + "site: !!python/name:os.system x\n", "tag"),
        "two documents": (HEAD + "---\n" + HEAD, "several documents"),
        "deep nesting": ("[" * 500, "deep"),
        "an unclosed bracket": (HEAD + "site: {region: x\n", "not YAML"),
        "a tab": (HEAD + "site:\n\tregion: x\n", "not YAML"),
        "a control character": (HEAD + "site: \x01\n", "character"),
        "bytes that are no text": (b"\xff\xfe\x00", "UTF-8"),
        "a number without end": (HEAD + f"site: {{pue: {'9' * 5000}}}\n", "too long"),
        "an alias without anchor": (HEAD + "site: *nowhere\n", "not YAML|anchor"),
        "a complex key": (HEAD + "? [a]\n: b\n", "no scalar"),
        "no workloads": (HEAD + "workloads: []\n", "at least one"),
        "a name used twice": (
            HEAD + "workloads: [{seats: a, people: 1, gpu: x}, {seats: a, people: 1, gpu: x}]\n",
            "used twice",
        ),
        "shares that do not sum": (
            HEAD
            + "workloads: [{experiments: a, jobs_per_day: 1, gpus: {1: 50 %}, "
            + "duration: {median: 1 h, p95: 2 h}}]\n",
            "sum to 50",
        ),
    }.values(),
)
def test_what_cannot_be_a_demand_is_refused_in_our_words(text, says):
    import re

    assert any(re.search(says, str(fault)) for fault in faults(text))


def test_an_alias_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert any("aliases" in str(fault) for fault in faults("\n".join(lines)))


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("~", None),
        ("true", True),
        ("'true'", "true"),
        ("2001-01-01", "2001-01-01"),
        ("1_000", "1_000"),
        (".5", 0.5),
    ],
)
def test_scalars_are_those_of_yaml_1_2(scalar, value):
    found, _ = documents.parse_yaml(f"a: {scalar}\n")
    assert found["a"] == value
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_survives_writing_and_reading(path):
    demand = documents.read(path.read_bytes(), Demand)
    assert documents.read(documents.dump(demand), Demand) == demand
    assert documents.read(documents.dump(demand, format="json"), Demand) == demand


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_is_valid_by_the_json_schema(path):
    import jsonschema

    schema = documents.schema(Demand)
    jsonschema.Draft202012Validator.check_schema(schema)
    value, _ = documents.parse_yaml(path.read_bytes())
    # JSON knows only texts as keys.
    for work in value["workloads"]:
        if "gpus" in work:
            work["gpus"] = {str(size): share for size, share in work["gpus"].items()}
    jsonschema.validate(value, schema)


def test_the_schema_refuses_what_the_reader_refuses():
    import jsonschema

    value, _ = documents.parse_yaml(BAD)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, documents.schema(Demand))


def test_the_demand_of_the_design_document_reads_as_it_stands():
    """The illustration that the language was drawn from."""
    text = HEAD + (
        "site: {region: cn-shanghai, cooling: air, rack_power: 45 kW}\n"
        "data: {ingest: 1 PB/day, retain: 3 years, hot: {capacity: 5 PB, read: 1 TB/s}}\n"
        "workloads:\n"
        "  - training: bev-foundation\n"
        "    model: bev-fusion-20b\n"
        "    tokens: 4 T\n"
        "    within: 14 days\n"
        "    accelerators: 1024\n"
        "  - experiments: perception-lab\n"
        "    jobs_per_day: 200\n"
        "    gpus: {1: 60 %, 8: 30 %, 64: 10 %}\n"
        "    duration: {median: 2 h, p95: 20 h}\n"
        "    wait: {p95: 30 min}\n"
        "  - simulation: regression\n"
        "    cases: 2000000\n"
        "    case: {cpus: 4, duration: 90 s}\n"
        "    within: 8 h\n"
        "  - seats: engineers\n"
        "    people: 120\n"
        "    gpu: 1g.10gb\n"
        "limits: {accelerators: [H100-SXM5-80GB], fabric: infiniband, capex: 90 MUSD}\n"
        "objective: cost\n"
    )
    demand = documents.read(text, Demand)
    assert [type(work).__name__ for work in demand.workloads] == [
        "Training",
        "Experiments",
        "Simulation",
        "Seats",
    ]
    assert demand.limits.capex_usd == 90e6
