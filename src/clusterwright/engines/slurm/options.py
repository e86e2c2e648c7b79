"""The options of sbatch, found in a script, in variables and on a command line.

Which there are, and which are not carried out, stands in `data/options.csv`: from the manual page
of sbatch 22.05.8 (https://slurm.schedmd.com/archive/slurm-22.05.8/sbatch.html) and its `--help`,
read 2026-11-25. The order is Slurm's: a variable wins over the script, the command line over both.
"""

import csv
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from clusterwright.errors import Fault, nearest

DIRECTIVE: Final = "#SBATCH"
"""What a line with options begins with."""

_ALMOST = re.compile(r"#\s+SBATCH\s|#(PBS|BSUB|FLUX|\$)\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option that sbatch knows."""

    name: str
    """Its long name, without hyphens."""
    short: str
    """Its letter; empty for none."""
    takes: Literal["none", "optional", "required"]
    """Whether a value follows it."""
    variable: str
    """Variable that stands for it; empty for none."""
    not_carried_out: str
    """Why we do not carry it out, or what does; empty when we do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An option with its value, as somebody wrote it."""

    option: Option
    """Which."""
    value: str
    """Its value; empty for none."""
    line: int | None
    """Line of the script; absent for one that came from elsewhere."""
    source: str
    """How it was written, without the value."""


class Found:
    """What was read, with what was wrong."""

    def __init__(self, file: str) -> None:
        """Begin with nothing, for a file as the user named it."""
        self.file = file
        self.given: dict[str, Given] = {}
        self.faults: list[Fault] = []
        self.told: list[Fault] = []

    def read_script(self, text: str) -> None:
        """Read the directives of a script, up to its first command as Slurm does."""
        commands = False
        for number, line in enumerate(text.splitlines(), start=1):
            if line.startswith(DIRECTIVE) and line[len(DIRECTIVE) :][:1] in {"", " ", "\t"}:
                if commands:
                    self.tell("stands after the first command; sbatch does not read it", number)
                else:
                    self._read_words(line[len(DIRECTIVE) :], number)
            elif _ALMOST.match(line):
                self.tell(f"{line.split()[0]!r} is no directive of sbatch", number)
            elif line.strip() and not line.lstrip().startswith("#"):
                commands = True

    def read_variables(self, environment: Mapping[str, str]) -> None:
        """Read the variables that sbatch reads."""
        for option in _by_name().values():
            value = environment.get(option.variable) if option.variable else None
            if value is not None:
                flag = option.takes == "none"
                given = "" if flag else value
                self._add(Given(option=option, value=given, line=None, source=option.variable))

    def read_command_line(self, words: Sequence[str]) -> None:
        """Read options as they stand before the script's name."""
        self._take(list(words), None)

    def tell(self, message: str, line: int | None = None, remedy: str = "") -> None:
        """Note what the user should know."""
        self.told.append(Fault(file=self.file, line=line, message=message, remedy=remedy))

    def fault(self, message: str, line: int | None = None, remedy: str = "") -> None:
        """Note what is wrong."""
        self.faults.append(Fault(file=self.file, line=line, message=message, remedy=remedy))

    def _read_words(self, text: str, line: int) -> None:
        try:
            words = shlex.split(text, comments=True)
        except ValueError as error:
            self.fault(f"{text.strip()!r} cannot be read: {error}", line, "close the quotation")
            return
        self._take(words, line)

    def _take(self, words: list[str], line: int | None) -> None:
        queue = iter(words)
        for word in queue:
            if word.startswith("--") and len(word) > 2:
                self._long(word, queue, line)
            elif word.startswith("-") and len(word) > 1:
                self._short(word[1:], queue, line)
            else:
                self.fault(f"{word!r} belongs to no option", line, "write --name=value")

    def _long(self, word: str, queue: Iterator[str], line: int | None) -> None:
        name, sign, value = word[2:].partition("=")
        option = self._named(name, line)
        if option is None:
            return
        if option.takes == "none" and sign:
            self.fault(f"--{option.name} takes no value, and has {value!r}", line)
            return
        if option.takes == "required" and not sign:
            value = next(queue, "")
        self._check(option, value, f"--{option.name}", line)

    def _short(self, letters: str, queue: Iterator[str], line: int | None) -> None:
        """Read `-N4`, `-N 4` and letters in a row, of which the last may take a value."""
        by_letter = {option.short: option for option in _by_name().values() if option.short}
        while letters:
            option = by_letter.get(letters[0])
            if option is None:
                self.fault(f"-{letters[0]} is no option of sbatch", line, "use the long form")
                return
            rest = letters[1:]
            if option.takes == "required":
                value = rest.removeprefix("=") or next(queue, "")
                self._check(option, value, f"-{option.short}", line)
                return
            self._check(option, "", f"-{option.short}", line)
            letters = rest

    def _check(self, option: Option, value: str, source: str, line: int | None) -> None:
        if option.takes == "required" and not value:
            self.fault(f"{source} has no value", line, f"write --{option.name}=value")
            return
        self._add(Given(option=option, value=value, line=line, source=source))

    def _add(self, given: Given) -> None:
        self.given.pop(given.option.name, None)  # the last one counts, and stands last
        self.given[given.option.name] = given

    def _named(self, name: str, line: int | None) -> Option | None:
        """Return an option by its long name, which may be cut short while it is one alone."""
        known = _by_name()
        if name in known:
            return known[name]
        begun = [one for one in known if name and one.startswith(name)]
        if len(begun) == 1:
            return known[begun[0]]
        hints = begun or nearest(name, known)
        remedy = f"did you mean --{' or --'.join(hints[:3])}?" if hints else "leave it out"
        word = "could be several options" if begun else "is no option of sbatch"
        self.fault(f"--{name} {word}", line, remedy)
        return None


@cache
def _by_name() -> Mapping[str, Option]:
    table = resources.files("clusterwright.engines.slurm").joinpath("data/options.csv")
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {row["option"]: _option(row) for row in rows}


def _option(row: Mapping[str, str]) -> Option:
    takes: dict[str, Literal["none", "optional", "required"]] = {
        "none": "none",
        "optional": "optional",
        "required": "required",
    }
    return Option(
        name=row["option"],
        short=row["short"],
        takes=takes[row["takes"]],
        variable=row["variable"],
        not_carried_out=row["not_carried_out"],
    )
