"""10,000 mutated demand files are read, or refused with our own errors and nothing else.

A seeded 200 of them go through the whole command line: exit 0, 1 or 2, no traceback, and no output
directory unless the plan was made.
"""

import random
import shutil
from pathlib import Path

import pytest
from tests.plan.conftest import EXAMPLES, the_catalog

from clusterwright import documents, plan
from clusterwright.cli.main import run
from clusterwright.errors import ClusterwrightError
from clusterwright.model.demand import Demand

NUM_IN_PROCESS = 10_000
NUM_THROUGH_THE_CLI = 200
ODDITIES = (
    *(
        "",
        "~",
        "null",
        "true",
        "no",
        "-1",
        "0",
        "1e999",
        ".nan",
        ".inf",
        "9" * 5000,
        "-0.0",
        "1:30",
    ),
    *(
        "80 gb",
        "4 Q",
        "1 PB/day",
        "-3 d",
        "2 months",
        "£5",
        "H1OO",
        "🚗",
        "\x00",
        "\t",
        "&a *a",
        "*b",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        ": :",
        "- -",
        "!!python/object:os.system x",
        "<<: *a",
        "|",
        ">",
        "'",
        '"',
    ),
    *("[[[[[[[[[[" * 20, "{a: {a: {a: ", "a: b: c", "# x", "---", "...", "%YAML 1.1", "\ud800"),
    *(
        "workloads:",
        "training: x",
        "seats: y",
        "1g.10gb",
        "0x10",
        "0o17",
        "012",
        "1_000",
        "8+3",
        "0+0",
    ),
)


def mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        lines = text.split("\n")
        place = rng.randrange(len(lines))
        match rng.randrange(9):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, lines[rng.randrange(len(lines))])
            case 2:
                head, sign, _ = lines[place].partition(":")
                lines[place] = f"{head}{sign} {rng.choice(ODDITIES)}"
            case 3:
                lines[place] = " " * rng.randint(0, 6) + lines[place].lstrip()
            case 4 if lines[place]:
                at = rng.randrange(len(lines[place]))
                odd = chr(rng.randrange(32, 0x2FFF))
                lines[place] = lines[place][:at] + odd + lines[place][at + 1 :]
            case 5:
                words = lines[place].split(" ")
                rng.shuffle(words)
                lines[place] = " ".join(words)
            case 6:
                lines[place] = rng.choice(ODDITIES)
            case 7:
                lines = lines[: rng.randrange(1, len(lines) + 1)]
            case _:
                digits = [i for i, one in enumerate(lines[place]) if one.isdigit()]
                if digits:
                    at = rng.choice(digits)
                    new = rng.choice(["0", "-7", "99999999", "1.5", "x", ""])
                    lines[place] = lines[place][:at] + new + lines[place][at + 1 :]
        text = "\n".join(lines)
    return text


def samples(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    texts = [path.read_text(encoding="utf-8") for path in EXAMPLES]
    return [mutated(rng.choice(texts), rng) for _ in range(count)]


@pytest.mark.slow
def test_ten_thousand_mutations_are_read_or_refused():
    read = refused = 0
    for text in samples(NUM_IN_PROCESS, seed=20261124):
        try:
            demand, places = documents.read_with_places(text, Demand, file="centre.yaml")
            plan.resolve(demand, the_catalog(), file="centre.yaml", places=places)
        except ClusterwrightError:
            refused += 1
        else:
            read += 1
    assert read > NUM_IN_PROCESS / 20  # else the mutations are too coarse to reach the reader
    assert refused > NUM_IN_PROCESS / 20


@pytest.mark.slow
def test_two_hundred_mutations_leave_the_command_line_in_order(tmp_path, capsys):
    codes = set()
    for number, text in enumerate(samples(NUM_THROUGH_THE_CLI, seed=7)):
        demand = tmp_path / "centre.yaml"
        demand.write_bytes(text.encode("utf-8", "surrogatepass"))
        out = tmp_path / f"out-{number}"
        code = run(["plan", str(demand), "--out", str(out), "-o", "json", "-q"])
        said = capsys.readouterr()
        codes.add(code)
        assert code in {0, 1, 2}, said.err
        assert "Traceback" not in said.err
        if code == 2:
            assert not out.exists()
            assert said.out == ""
            assert said.err.strip()
        else:
            written = {path.name for path in Path(out).iterdir()}
            assert written == {"design.yaml", "report.html", "bom.csv", "cabling.csv"}
            shutil.rmtree(out)
        assert [path.name for path in tmp_path.iterdir()] == ["centre.yaml"]
    assert codes >= {0, 2}
