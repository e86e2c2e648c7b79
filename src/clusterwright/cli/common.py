"""The options that every command takes, and the streams it talks on."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from clusterwright.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


class UnknownOption(UsageError):
    """An option that the command does not have stands where a file is expected."""


def _not_an_option(_: object, value: object) -> None:
    if isinstance(value, str) and value.startswith("-") and value != "-":
        raise UnknownOption(value)


FileName = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_not_an_option)]
"""A file that a command reads or writes; `-` stands for stdin or stdout."""

Format = Literal["table", "wide", "json", "yaml", "csv", "name", "jsonl", "sarif"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """Everyday options, the same on every command."""

    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table"
    """How the answer on stdout is written."""
    columns: Annotated[str | None, Parameter(name="--columns")] = None
    """Columns of a table or CSV, separated by commas."""
    filter: Annotated[tuple[str, ...], Parameter(name="--filter", negative=())] = ()
    """Keep only rows with this value, as `column=value`; may be given several times."""
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False
    """No progress, no remarks: only errors on stderr."""
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    """More remarks on stderr."""
    no_color: Annotated[bool, Parameter(name="--no-color", negative=())] = False
    """No colour, as the variable NO_COLOR does."""

    def filters(self) -> Mapping[str, str]:
        """Return the filters as a mapping from column to value.

        Raises
        ------
        UsageError
            If a filter is not of the form `column=value`.
        """
        pairs = {}
        for text in self.filter:
            column, sign, value = text.partition("=")
            if not sign or not column:
                msg = f"--filter {text}: write column=value, for example --filter vendor=AMD"
                raise UsageError(msg)
            pairs[column.strip()] = value.strip()
        return pairs


def wants_color(common: Common, *, isatty: bool) -> bool:
    """Return whether to colour: FORCE_COLOR over NO_COLOR, dumb terminals, CI and pipes."""
    if common.no_color:
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return isatty and not plain


def stdout(common: Common) -> "Console":
    """Return the console of the answer."""
    from rich.console import Console

    return _console(Console, common, stderr=False)


def stderr(common: Common) -> "Console":
    """Return the console of the conversation: progress, remarks, errors."""
    from rich.console import Console

    return _console(Console, common, stderr=True)


def _console(console: "type[Console]", common: Common, *, stderr: bool) -> "Console":
    stream = sys.stderr if stderr else sys.stdout
    color = wants_color(common, isatty=stream.isatty())
    width = None if stream.isatty() else 160
    return console(
        file=stream,
        force_terminal=color or None,
        no_color=not color,
        color_system="auto" if color else None,
        highlight=False,
        width=width,
        soft_wrap=not stream.isatty(),
    )
