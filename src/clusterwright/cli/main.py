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
        'clusterwright simulate build --demand centre.yaml --power-cap "9 MW"\n'
        "clusterwright simulate --from-live --change nodes.gpu.nodes=+4",
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
        "up",
        "Start the control plane of a centre on this machine.",
        "clusterwright up\n"
        "clusterwright up --nodes 4 --gpus-per-node 8\n"
        "clusterwright up -f centre-run.yaml --listen 127.0.0.1:8787",
    ),
    (
        "down",
        "End the control plane; jobs go on and are found again.",
        "clusterwright down\nclusterwright down --jobs",
    ),
    (
        "submit",
        "Submit a job: a job.yaml, or an sbatch script as it stands.",
        "clusterwright submit job.yaml\n"
        "clusterwright submit job.yaml --set nodes=4 --dry-run\n"
        "clusterwright submit train.sbatch -o name",
    ),
    (
        "run",
        "Submit a job, follow it, and leave with 0 if it completed.",
        "clusterwright run job.yaml\nclusterwright run job.yaml --rank 3",
    ),
    (
        "ps",
        "List jobs: state, where they run, why they wait.",
        "clusterwright ps\nclusterwright ps --all --owner ann -o json",
    ),
    (
        "why",
        "Say why a job is where it is: one dominant reason, with its evidence.",
        "clusterwright why 17\nclusterwright why 17 -o json | jq .spec.reason",
    ),
    (
        "logs",
        "Print, or follow, what a rank of a job writes.",
        "clusterwright logs 17 --follow\nclusterwright logs 17 --rank 3 --stream err --tail 50",
    ),
    (
        "events",
        "List what has happened to a job, or follow the centre.",
        "clusterwright events 17\nclusterwright events --follow -o jsonl",
    ),
    (
        "cancel",
        "Take jobs back, whether they wait or run.",
        'clusterwright cancel 17\nclusterwright cancel 17 18 --why "wrong data"',
    ),
    (
        "hold",
        "Hold jobs that wait.",
        'clusterwright hold 17\nclusterwright hold 17 18 --why "wait for the new data"',
    ),
    (
        "release",
        "Let held jobs go on waiting.",
        "clusterwright release 17\nclusterwright release 17 18",
    ),
    (
        "requeue",
        "Stop running jobs after their warning, and queue them again.",
        'clusterwright requeue 17\nclusterwright requeue 17 --why "move it off n3"',
    ),
    (
        "renew",
        "Let the leases of running sessions begin anew.",
        'clusterwright renew 17\nclusterwright renew 17 18 --why "a long read"',
    ),
    (
        "wait",
        "Wait until jobs are through.",
        "clusterwright wait 17\nclusterwright wait 17 18 --timeout 600",
    ),
    (
        "nodes",
        "List the nodes: state, what is used, who runs there.",
        "clusterwright nodes\nclusterwright nodes -o json",
    ),
    (
        "drain",
        "Let no new work on a node.",
        'clusterwright drain n3 --why "new cooling"\nclusterwright drain n3 --dry-run',
    ),
    (
        "undrain",
        "Let work on a node again.",
        "clusterwright undrain n3\nclusterwright undrain n3 --dry-run",
    ),
    (
        "queues",
        "List the queues: what each is owed, allowed, and uses.",
        "clusterwright queues\nclusterwright queues -o json",
    ),
    (
        "quota",
        "Show what queues are owed, allowed and use; or change that of one.",
        "clusterwright quota\n"
        "clusterwright quota prod --guarantee 64 --limit none\n"
        "clusterwright quota lab --limit +8 --dry-run",
    ),
    (
        "top",
        "Show nodes, queues and jobs, again and again.",
        "clusterwright top\nclusterwright top --once -o json",
    ),
    (
        "cost",
        "Say who held what and what it cost, down to the bill.",
        "clusterwright cost --by queue\n"
        "clusterwright cost --by job --since 2026-11-01T00:00:00Z --focus > bill.csv",
    ),
    (
        "energy",
        "Say who drew how much energy and emitted how much carbon.",
        "clusterwright energy\nclusterwright energy --by owner -o json",
    ),
    (
        "token",
        "Hand out, list and revoke tokens.",
        "clusterwright token add ann --role user --project vision\n"
        'clusterwright token add ci --project vision --expires "30 days"\n'
        "clusterwright token revoke ann",
    ),
    (
        "backup",
        "Copy the journal into a new file, checked entry by entry.",
        "clusterwright backup journal-2026-11-25.sqlite\n"
        "clusterwright backup copy.sqlite --state-dir centre",
    ),
    (
        "restore",
        "Write a backup into an empty journal.",
        "clusterwright restore journal-2026-11-25.sqlite\n"
        "clusterwright restore copy.sqlite --state-dir centre",
    ),
    (
        "replay",
        "Let the twin decide again what a centre's journal says was decided.",
        "clusterwright replay journal-2026-11-25.sqlite\n"
        "clusterwright replay --state-dir centre -o json",
    ),
    (
        "journal",
        "Check a centre's journal: every entry, and the snapshot against them.",
        "clusterwright journal check\n"
        "clusterwright journal check journal-2026-11-25.sqlite -o json",
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
        "Plan the worked case, prove it in the twin, then run a real gang and kill a node.",
        "clusterwright demo\nclusterwright demo --out demo-out --no-live -q",
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


_TOGETHER: Mapping[str, str] = {
    # name of the command: the module that it shares with others
    **dict.fromkeys(("up", "down"), "serve"),
    **dict.fromkeys(("submit", "run", "ps", "why", "cancel"), "jobs"),
    **dict.fromkeys(("hold", "release", "requeue", "renew", "wait"), "jobs"),
    **dict.fromkeys(("logs", "events"), "follow"),
    **dict.fromkeys(("nodes", "drain", "undrain", "queues"), "centre"),
    **dict.fromkeys(("top", "cost", "energy"), "money"),
    **dict.fromkeys(("token", "backup", "restore"), "centre"),
    "journal": "replay",
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
            module = _TOGETHER.get(name, name)
            _add(app, f"clusterwright.cli.{module}:{name}", name, help_text, examples)
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
