"""The entry point: names the commands, runs one, and turns errors into exit codes.

Commands are named by import path and loaded when they are called, so that `--help` and completion
stay fast.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from cyclopts import App, CycloptsError

from clusterwright import __version__
from clusterwright.cli.common import UnknownOption
from clusterwright.cli.study import STUDIES
from clusterwright.errors import ClusterwrightError, ExitCode, nearest

COMMANDS: Sequence[tuple[str, str, str]] = (
    # name, what it does, examples
    (
        "init",
        "Write a first demand file to start from.",
        "clusterwright init centre.yaml\nclusterwright init --example llama-405b centre.yaml",
    ),
    (
        "plan",
        "Turn a demand into a complete design, with the reason for every choice.",
        "clusterwright plan centre.yaml --out build\n"
        "clusterwright plan centre.yaml -o json | jq .spec.economics.capex_usd",
    ),
    (
        "explain",
        "Say what a field of the demand means, its default and where that comes from; or why a "
        "design has a figure.",
        "clusterwright explain site.cooling\n"
        "clusterwright explain spec.fabric.planes.compute.num_leaf -f build/design.yaml",
    ),
    (
        "check",
        "Look for faults in a demand or a design.",
        "clusterwright check centre.yaml\nclusterwright check build/design.yaml -o sarif",
    ),
    (
        "diff",
        "Compare two designs figure by figure.",
        "clusterwright diff before/design.yaml after/design.yaml\n"
        "clusterwright diff a.yaml b.yaml --exit-code -o json",
    ),
    (
        "estimate",
        "Hold the models against rows of your own measurements.",
        "clusterwright estimate fabric fabrics.csv -o csv\n"
        "clusterwright estimate training runs.csv -o csv\n"
        "clusterwright estimate encoder backbones.csv -o csv\n"
        "clusterwright estimate runtimes jobs.csv.gz --from 14d --out guesses.csv",
    ),
    (
        "calibrate",
        "Fit the models' factors to measured runs, and say how wrong they then are.",
        "clusterwright calibrate training runs.csv --out my-factors\n"
        "clusterwright calibrate training runs.csv -o json | jq .status.held_out",
    ),
    (
        "search",
        "Find the fastest parallel strategies of a training run, and say what binds.",
        "clusterwright search training -m gpt3-175b -a H100 -n 1024 -b 1024\n"
        "clusterwright search training -m mixtral-8x7b -a H100 -n 64 -b 256 -o json",
    ),
    (
        "simulate",
        "Run the digital twin: a design under its demand, or nodes under a trace.",
        "clusterwright simulate build/design.yaml --demand centre.yaml --days 30\n"
        "clusterwright simulate --nodes 20 --trace jobs.csv.gz --policy fifo --out run\n"
        "clusterwright simulate --nodes 20 --trace jobs.csv --reservations kept.csv\n"
        'clusterwright simulate build --demand centre.yaml --power-cap "9 MW"',
    ),
    (
        "study",
        "Compare ways of running a centre.",
        "clusterwright study energy build --demand centre.yaml --zones DE-LU\n"
        "clusterwright study packing --nodes nodes.csv --trace pods.csv",
    ),
    (
        "trace",
        "Read job logs of Slurm, Kubernetes and others; look at them; draw more like them.",
        "sacct -a -D -P --format=ALL | clusterwright trace convert - --out jobs.csv.gz\n"
        "clusterwright trace show jobs.csv.gz\n"
        "clusterwright trace generate --like jobs.csv.gz --scale 2 --out twice.csv.gz",
    ),
    (
        "report",
        "Write the report of a design again, for example in another language.",
        "clusterwright report build/design.yaml --run month.json --out report.html\n"
        "clusterwright report build/design.yaml --lang zh --out report-zh.html",
    ),
    (
        "catalog",
        "Show what can be bought, with its sources.",
        "clusterwright catalog accelerators\n"
        "clusterwright catalog regions --filter country=China\n"
        'clusterwright catalog mig H100-SXM5-80GB --seat "9 GB"',
    ),
    (
        "schema",
        "Print the JSON Schema of a kind of document.",
        "clusterwright schema Demand > demand.schema.json\nclusterwright schema Design",
    ),
    (
        "doctor",
        "Look at this machine: what works here and what would enable the rest.",
        "clusterwright doctor\nclusterwright doctor -o json",
    ),
    (
        "demo",
        "Plan the worked case, run its month in the twin and show the report.",
        "clusterwright demo\nclusterwright demo --out demo-out -q",
    ),
    (
        "completion",
        "Print the completion script of a shell.",
        "clusterwright completion bash > clusterwright.bash\nclusterwright completion zsh",
    ),
)

SUBCOMMANDS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    # name of the command: its own commands, as above
    "study": STUDIES,
    "trace": (
        (
            "convert",
            "Turn a log into our tidy CSV, and say what became of every row.",
            "sacct -a -D -P --format=ALL | clusterwright trace convert - --out jobs.csv.gz\n"
            "clusterwright trace convert pods.json --format kubernetes -o json",
        ),
        (
            "show",
            "Show a trace in figures: jobs, span, accelerator-hours; by size, queue and user.",
            "clusterwright trace show jobs.csv.gz\n"
            "clusterwright trace show sacct.txt --queue-from account -o json",
        ),
        (
            "generate",
            "Draw a trace like another, larger or longer, and say how like it is.",
            "clusterwright trace generate --like jobs.csv --scale 2 --out twice.csv\n"
            "clusterwright trace generate --like jobs.csv --jobs 60000 --out many.csv",
        ),
    ),
}


def build_app() -> App:
    """Return the command line with every command named and none loaded."""
    app = App(
        name="clusterwright",
        help="An AI compute centre as code: plan it, prove it, run it.",
        help_epilogue=_examples(
            "clusterwright demo\n"
            "clusterwright plan examples/autonomous-driving/centre.yaml --out build"
        ),
        version=__version__,
        version_flags=["--version"],
        result_action="return_value",
        help_format="plaintext",
    )
    for name, help_text, examples in COMMANDS:
        if name not in SUBCOMMANDS:
            _add(app, f"clusterwright.cli.{name}:{name}", name, help_text, examples)
            continue
        group = App(name=name, help=help_text, help_epilogue=_examples(examples))
        for verb, verb_help, verb_examples in SUBCOMMANDS[name]:
            module = f"study_{verb}" if name == "study" else name  # a study is a file of its own
            _add(group, f"clusterwright.cli.{module}:{verb}", verb, verb_help, verb_examples)
        app.command(group)
    return app


def _add(app: App, path: str, name: str, help_text: str, examples: str) -> None:
    app.command(path, name=name, help=help_text, help_epilogue=_examples(examples))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done and the answer is yes, 1 done and the answer is no, 2 wrong use or invalid input,
    3 target missing, 4 conflict, 70 our bug, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    app = build_app()
    try:
        if not words:
            app.help_print()
            return ExitCode.OK
        result = app(words, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        _say(
            f"{' '.join(['clusterwright', *_command(words)])}: {error}\nSee `clusterwright --help`."
        )
        return ExitCode.USAGE
    except UnknownOption as error:
        _say(_unknown(app, _command(words), str(error)))
        return ExitCode.USAGE
    except ClusterwrightError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader closed early (`| head`): leave quietly, and keep Python from flushing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        return _bug(error, words)
    return result if isinstance(result, int) else ExitCode.OK


def _command(words: Sequence[str]) -> Sequence[str]:
    """Return the words that name the command."""
    return words[: 2 if words[0] in SUBCOMMANDS else 1]


def _unknown(app: App, command: Sequence[str], option: str) -> str:
    called = app
    for word in command:
        called = called[word]
    options = [name for one in called.assemble_argument_collection() for name in one.names]
    hints = nearest(option.partition("=")[0], [name for name in options if name.startswith("-")])
    near = f" Did you mean {hints[0]}?" if hints else f" A file of that name is written ./{option}"
    name = " ".join(["clusterwright", *command])
    return f"{name}: Unknown option: {option}.{near}\nSee `clusterwright --help`."


def _bug(error: BaseException, words: Sequence[str]) -> int:
    import tempfile
    import traceback
    from pathlib import Path

    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", prefix="clusterwright-bug-", suffix=".txt", delete=False
    ) as report:
        report.write(f"clusterwright {__version__}\ncommand: {' '.join(words)}\n\n{text}")
    _say(
        f"This is a fault of clusterwright ({type(error).__name__}: {error}).\n"
        f"The report is in {Path(report.name)}; please attach it when you tell us."
    )
    return ExitCode.BUG


def _say(text: str) -> None:
    sys.stderr.write(text.rstrip("\n") + "\n")


def _examples(text: str) -> str:
    return "Examples:\n" + "\n".join(f"  {line}" for line in text.splitlines())
