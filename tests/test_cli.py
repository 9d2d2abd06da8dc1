"""The command line: what goes where, and with which exit status."""

from __future__ import annotations

import json
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from forking import Forks, carry_out_command
from support import config_values, make_rows, write_rows
from welltuned.cli.console import doctor
from welltuned.engines import torch_loop
from welltuned.errors import Fault, NotFinite, Stopped
from welltuned.experiments.executors.local import LocalWorker
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison

pytestmark = pytest.mark.charts

HEAD = {"type": "partial", "num_blocks": 0}
TEXTS = [row["text"] for row in make_rows(4, seed=5)]

Result = tuple[int, str, str]


@pytest.fixture(scope="module")
def write_config(tiny: Any, sentiment: str) -> Callable[..., Path]:
    """A config file for a run of one step into `folder/run`."""

    def write(folder: Path, **parts: Any) -> Path:
        training = {"max_steps": 1, "num_train_epochs": "auto", **parts.pop("training", {})}
        parts = {"task": {"pooling": "mean"}, "evaluation": {"untrained": False}, **parts}
        values = config_values(
            tiny("bert"), sentiment, HEAD, folder / "run", training=training, **parts
        )
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump(values))
        return file

    return write


@pytest.fixture(scope="module")
def trained(
    write_config: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """`welltuned train CONFIG.yaml` in a process of its own: (what came of it, the config)."""
    file = write_config(tmp_path_factory.mktemp("trained"))
    return welltuned("train", file, "training.seed=5"), file


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "welltuned.cli", *map(str, arguments)]


def welltuned(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=120, **options
    )


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


# --- train ---------------------------------------------------------------------


def test_training_ends_with_zero_and_results_on_standard_output(trained: Any) -> None:
    process, file = trained
    assert process.returncode == 0, process.stderr
    run = Run.open(file.parent / "run")
    assert run.state == "finished"
    names = [line.split()[0] for line in process.stdout.splitlines()]
    told = ["diagnosis", "next"] if run.results["diagnosis"]["finding"] else ["diagnosis"]
    assert names == ["run", "test", "majority", "cost", "time", "proof", *told, "report"]
    assert {"import", "train"} <= set(run.results["cost"]["phases"])
    assert str(run.folder) in process.stdout and str(run.report) in process.stdout
    test = run.results["test"]
    low, high = test["accuracy_ci95"]
    assert f"accuracy {test['accuracy']:.3f} [{low:.3f}, {high:.3f}]" in process.stdout


def test_progress_goes_to_standard_error_in_plain_lines(trained: Any) -> None:
    process, _ = trained
    for told in ("What trains", "step 1/1", "loss", "train 96, validation 12, test 12"):
        assert told in process.stderr
        assert told not in process.stdout
    assert "weight_decay = 0.01 (" in process.stderr, "a default is told with its source"
    assert "\x1b" not in process.stderr + process.stdout, "no colours without a terminal"
    assert "\r" not in process.stderr
    assert "Traceback" not in process.stderr and "Warning" not in process.stderr


def test_the_run_remembers_its_command(trained: Any) -> None:
    _, file = trained
    run = Run.open(file.parent / "run")
    assert run.config["training"]["seed"] == 5
    said = run.read("environment.json")["command"]
    assert said == f"welltuned train {file} training.seed=5"
    assert said in run.report.read_text()


def test_keys_alone_train_and_json_is_printed(
    call: Any, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    status, out, _ = call(
        "train",
        f"model={tiny('bert')}",
        f"data={sentiment}",
        "strategy=partial",
        "strategy.num_blocks=0",
        "task.pooling=mean",
        "training.max_steps=1",
        f"output_dir={tmp_path / 'run'}",
        "--json",
    )
    assert status == 0
    printed = json.loads(out)
    assert printed.pop("run") == str(tmp_path / "run")
    assert printed == Run.open(tmp_path / "run").results


def test_every_fault_has_a_line_and_the_status_is_two(call: Any, tmp_path: Path) -> None:
    rows = "".join(f"good {i},yes\n" for i in range(30))
    (tmp_path / "train.csv").write_text(f"text,label\n{rows}")
    (tmp_path / "config.yaml").write_text(
        f"model: some/model\ndata: {tmp_path}/train.csv\nstrategi: lora\n"
        "training:\n  learning_rate: -1\n  seeed: 3\n"
    )
    status, out, err = call("train", tmp_path / "config.yaml")
    assert (status, out) == (2, "")
    lines = err.splitlines()
    assert all(re.match(r"error: \S*(config\.yaml|train\.csv):\d+:?\d*:? ", x) for x in lines), err
    assert any("config.yaml:3:1: unknown key 'strategi'" in line for line in lines)
    assert any("config.yaml:5:" in line and "learning_rate" in line for line in lines)
    assert any("config.yaml:6:" in line and "did you mean 'seed'?" in line for line in lines)
    assert any("train.csv:2" in line and "only one class" in line for line in lines)
    assert all(" -> " in line or "greater than 0" in line for line in lines)


def test_a_missing_config_is_one_line(call: Any, tmp_path: Path) -> None:
    status, out, err = call("train", tmp_path / "nothing.yaml")
    assert (status, out) == (2, "")
    [line] = err.splitlines()
    assert line.startswith(f"error: {tmp_path}/nothing.yaml: no such config file")


def test_with_json_errors_are_json_with_code_place_and_values(call: Any, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("model: m\ndata: demo:sentiment_en\nstratgy: lora\n")
    status, out, err = call("train", file, "--json")
    [error] = json.loads(out)["errors"]
    assert (status, err) == (2, "")
    assert error["code"] == "config.key_unknown" and error["values"]["key"] == "stratgy"
    assert error["place"] == {"source": str(file), "line": 3, "column": 1}


def test_training_without_anything_says_what_is_missing(call: Any) -> None:
    status, _, err = call("train")
    assert status == 2
    assert "missing key 'model'" in err and "missing key 'data'" in err


def test_a_run_that_failed_is_one_line_and_the_status_is_one(
    call: Any, write_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(job: object) -> None:
        raise ValueError("no\nluck")

    monkeypatch.setattr(torch_loop, "fit_with_loop", crash)
    status, out, err = call("train", write_config(tmp_path))
    assert (status, out) == (1, "")
    assert [line for line in err.splitlines() if line.startswith("error")] == [
        "error: ValueError: no luck [run.crashed]"
    ]
    assert err.endswith("luck [run.crashed]\n")
    assert Run.open(tmp_path / "run").status["state"] == "failed"


def test_a_run_without_finite_numbers_has_a_status_of_its_own(
    call: Any, write_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(job: object) -> None:
        raise NotFinite(Fault("training.not_finite", "the loss is not finite"))

    monkeypatch.setattr(torch_loop, "fit_with_loop", diverge)
    status, _, err = call("train", write_config(tmp_path))
    assert status == 3 and err.endswith("[training.not_finite]\n")
    assert Run.open(tmp_path / "run").state == "failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_has_the_status_of_its_signal(
    number: int, call: Any, write_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(job: object) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number)

    monkeypatch.setattr(torch_loop, "fit_with_loop", stop)
    status, out, err = call("train", write_config(tmp_path))
    assert (status, out) == (128 + number, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"error: stopped by signal {number} -> `welltuned resume ")
    assert last.endswith("[run.stopped]")


def test_an_interrupted_verb_has_the_status_of_its_signal(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "collect_diagnostics", interrupt)
    status, out, err = call("doctor")
    assert (status, out) == (130, "")
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def signalled(
    write_config: Any, tmp_path_factory: pytest.TempPathFactory, forks: Forks
) -> dict[int, tuple[int, Run, str]]:
    """Runs that would last for ever, each stopped by a signal: (status, run, standard error)."""
    started: dict[int, tuple[LocalWorker, Path]] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        folder = tmp_path_factory.mktemp("signalled")
        endless = {"max_steps": 10**7, "eval_strategy": "no"}
        file = write_config(folder, training=endless)
        arguments, told = ["train", str(file)], str(folder / "told")
        started[number] = forks.begin(carry_out_command, arguments=arguments, told=told), folder
    ended: dict[int, tuple[int, Run, str]] = {}
    for signal_number, (process, folder) in started.items():
        run = Run(folder / "run")
        wait_for(partial(under_way, run))
        process._process.send_signal(signal_number)
        status, _ = forks.end_of(process)
        ended[signal_number] = status, run, (folder / "told").read_text(encoding="utf-8")
    return ended


def under_way(run: Run) -> bool:
    return (run.folder / "status.json").exists() and run.status["step"] >= 1


def wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 90
    while not ready():
        assert time.monotonic() < until, "the run did not start"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_a_run_and_leaves_it_readable(
    number: int, status: int, signalled: dict[int, tuple[int, Run, str]]
) -> None:
    found, run, err = signalled[number]
    assert found == status
    assert run.status["state"] == "stopped"
    assert run.status["step"] >= 1
    error = str(run.status["error"])
    assert str(int(number)) in error or "interrupted" in error
    assert "Traceback" not in err
    assert len(list(run.read_lines("metrics.jsonl"))) >= 1


# --- Starting up ---------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    """It shall answer in half a second."""
    code = (
        "import sys\nfrom welltuned.cli import main\n"
        "sys.argv = ['welltuned', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    for verb in (
        "train",
        "compare",
        "predict",
        "evaluate",
        "data",
        "runs",
        "report",
        "export",
        "doctor",
    ):
        assert re.search(rf"^\s+{verb}\b", process.stdout, re.MULTILINE), verb
    heavy = ("torch", "transformers", "peft", "numpy", "sklearn", "scipy", "pandas", "matplotlib")
    for module in (*heavy, "datasets", "pydantic"):
        assert f"'{module}'" not in process.stderr, module


@pytest.mark.parametrize(
    "verb",
    [
        "train",
        "compare",
        "predict",
        "evaluate",
        "data",
        "runs",
        "report",
        "export",
        "doctor",
        "demo",
    ],
)
def test_every_verb_explains_itself(verb: str, call: Any) -> None:
    status, out, err = call(verb, "--help")
    assert (status, err) == (0, "")
    assert f"welltuned {verb}" in out


def test_an_unknown_verb_is_refused(call: Any) -> None:
    status, out, err = call("trian")
    assert (status, out) == (2, "")
    assert "No such command 'trian'" in err


# --- predict -------------------------------------------------------------------


def test_texts_on_the_line_are_answered_in_order(finished: Run, call: Any) -> None:
    status, out, err = call("predict", finished.folder, *TEXTS)
    assert (status, err) == (0, "")
    rows = rows_of(out)
    assert [row["text"] for row in rows] == TEXTS
    assert all(set(row) == {"id", "text", "prediction", "probabilities"} for row in rows)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_file_of_texts_needs_no_labels(
    suffix: str, finished: Run, call: Any, tmp_path: Path
) -> None:
    file = tmp_path / f"texts.{suffix}"
    if suffix == "csv":
        file.write_text("text,other\n" + "".join(f"{text},1\n" for text in TEXTS))
    else:
        write_rows(file, [{"text": text} for text in TEXTS])
    status, out, _ = call("predict", finished.folder, f"data={file}")
    assert status == 0
    first = 2 if suffix == "csv" else 1
    rows = rows_of(out)
    lines = range(first, first + len(TEXTS))
    assert [row.pop("id") for row in rows] == [f"{file}:{line}" for line in lines]
    on_the_line = rows_of(call("predict", finished.folder, *TEXTS)[1])
    assert rows == [{key: row[key] for key in row if key != "id"} for row in on_the_line]


def test_lines_of_standard_input_are_texts(finished: Run, call: Any) -> None:
    status, out, _ = call("predict", finished.folder, stdin="\n".join([*TEXTS, "", "  "]))
    assert status == 0
    assert [row["text"] for row in rows_of(out)] == [*TEXTS, "", "  "]


def test_letters_of_all_scripts_come_out_as_they_are(finished: Run, call: Any) -> None:
    _, out, _ = call("predict", finished.folder, "très bon 很好")
    assert "très bon 很好" in out


def test_on_a_terminal_answers_are_for_people(
    finished: Run, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout.__class__, "isatty", lambda self: True)
    _, out, _ = call("predict", finished.folder, TEXTS[0])
    assert re.fullmatch(rf"(positive|negative) +\d+\.\d%  {TEXTS[0]}\n", out)
    _, out, _ = call("predict", finished.folder, TEXTS[0], "--json")
    assert rows_of(out)[0]["text"] == TEXTS[0]


def test_texts_and_a_file_together_are_refused(finished: Run, call: Any, sentiment: str) -> None:
    """Rather than answering one and forgetting the other."""
    status, out, err = call("predict", finished.folder, "good", f"data={sentiment}")
    assert (status, out) == (2, "")
    assert "[cli.predict_texts_or_file]" in err


def test_a_run_that_is_not_there_is_refused(call: Any, tmp_path: Path) -> None:
    status, out, err = call("predict", tmp_path / "nothing", "good")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "[run.folder_missing]" in err


def test_a_stream_is_answered_line_by_line(finished: Run) -> None:
    """Each line is answered before the next is written."""
    process = subprocess.Popen(
        command("predict", finished.folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        for text in TEXTS[:3]:
            process.stdin.write(text + "\n")
            ready, _, _ = select.select([process.stdout], [], [], 60)
            assert ready, "no answer while the input is open"
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.stdout.close()


# --- The other verbs -----------------------------------------------------------


def test_evaluate_prints_scores_with_intervals(finished: Run, call: Any, sentiment: str) -> None:
    status, out, _ = call("evaluate", finished.folder, f"data={sentiment}", "--json")
    assert status == 0
    scores = json.loads(out)
    assert scores["examples"] == 120
    status, out, _ = call("evaluate", finished.folder, f"data={sentiment}")
    low, high = scores["accuracy_ci95"]
    assert f"accuracy             {scores['accuracy']:.4f}  [{low:.4f}, {high:.4f}]" in out
    assert re.search(r"^examples +120$", out, re.MULTILINE)


def test_evaluate_takes_keys_of_data(finished: Run, call: Any, tmp_path: Path) -> None:
    rows = [{"words": row["text"], "mood": row["label"]} for row in make_rows(6)]
    file = write_rows(tmp_path / "other.jsonl", rows)
    columns = ("data.columns.text=words", "data.columns.label=mood")
    status, out, _ = call("evaluate", finished.folder, f"data.train={file}", *columns, "--json")
    assert status == 0
    assert json.loads(out)["examples"] == 6


def test_evaluate_without_data_says_so(finished: Run, call: Any) -> None:
    status, _, err = call("evaluate", finished.folder)
    assert status == 2
    assert "missing key 'data'" in err


def test_data_is_inspected(call: Any, sentiment: str) -> None:
    status, out, err = call("data", sentiment)
    assert (status, err) == (0, "")
    assert "example 3" in out
    status, out, _ = call("data", sentiment, "--json")
    assert json.loads(out)["splits"]["train"]["rows"] == 96


def test_runs_are_listed(finished: Run, call: Any) -> None:
    status, out, _ = call("runs", finished.folder.parent)
    assert status == 0
    assert str(finished.folder) in out and "finished" in out
    [row] = json.loads(call("runs", finished.folder.parent, "--json")[1])
    assert row["run"] == str(finished.folder)


def test_no_runs_is_told_beside_the_results(call: Any, tmp_path: Path) -> None:
    assert call("runs", tmp_path) == (0, "", f"no runs in {tmp_path}\n")
    assert call("runs", tmp_path, "--json") == (0, "[]\n", "")


def test_a_report_can_be_written_again(finished: Run, call: Any) -> None:
    before = finished.report.read_text()
    assert call("report", finished.folder) == (0, f"{finished.report}\n", "")
    assert finished.report.read_text() == before


def test_export_writes_a_plain_folder(adapted: Run, call: Any, tmp_path: Path) -> None:
    target = tmp_path / "plain"
    status, out, err = call("export", adapted.folder, "to=plain", f"out={target}")
    assert (status, err) == (0, "") and f"folder      {target}\n" in out
    assert (target / "config.json").exists()
    status, _, err = call("export", adapted.folder, "to=plain", f"out={target}")
    assert status == 2
    assert "[export.target_in_use]" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "cli.export_options"),
        (("to=",), "cli.export_options"),
        (("too=there",), "cli.export_options"),
        (("to=plain", "and=b"), "config.key_unknown"),
        (("to=merged",), "export.format_unknown"),
        (("to=plain", "precision=int8"), "export.precision_unknown"),
    ],
)
def test_export_says_what_it_needs(
    arguments: tuple[str, ...], code: str, adapted: Run, call: Any
) -> None:
    status, out, err = call("export", adapted.folder, *arguments)
    assert (status, out) == (2, "") and f"[{code}]" in err


@pytest.mark.parametrize(("problems", "status"), [([], 0), (["no torch"], 1)])
def test_the_doctors_status_tells_whether_all_is_well(
    problems: list[str], status: int, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "collect_diagnostics", lambda: {"problems": problems})
    monkeypatch.setattr(doctor, "render_diagnostics", lambda findings: "as it is")
    assert call("doctor") == (status, "as it is\n", "")
    found, out, _ = call("doctor", "--json")
    assert (found, json.loads(out)) == (status, {"problems": problems})


# --- compare -------------------------------------------------------------------


def test_a_finished_comparison_is_shown_at_once(
    compared: Any, call: Any, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    from comparing import values_for

    compared = Comparison(Path(shutil.copytree(compared.folder, tmp_path / "reviews")))
    file = tmp_path / "compare.yaml"
    file.write_text(yaml.safe_dump(values_for(tiny("bert"), sentiment, compared.folder)))
    status, out, err = call("compare", file)
    assert status == 0
    assert "2 strategies, 4 runs, 4 of them finished" in err
    chosen = compared.results["recommendation"]["strategy"]
    assert f"recommended  {chosen}" in out
    assert out.rstrip().endswith(f"report       {compared.report}")
    status, out, _ = call("compare", file, "--json")
    assert status == 0
    told = json.loads(out)
    assert told["comparison"] == str(compared.folder)
    assert told["recommendation"] == compared.results["recommendation"]


def test_a_faulty_comparison_is_refused_with_all_its_faults(call: Any, tmp_path: Path) -> None:
    file = tmp_path / "compare.yaml"
    file.write_text("model: m\ndata: d.jsonl\nstrategies: [lorra]\nsedes: 3\nbudget: soon\n")
    status, out, err = call("compare", file)
    assert (status, out) == (2, "")
    assert f"{file}:4:1: unknown key 'sedes' -> did you mean 'seeds'?" in err
    assert f"{file}:5:1: 'soon' is not a time" in err
    status, _, err = call("compare", "model=m", "data=d.jsonl", "strategies=lorra")
    assert status == 2
    assert "unknown type 'lorra'" in err and "did you mean 'lora'?" in err


def test_reports_of_runs_and_comparisons_are_written_again(
    compared: Any, finished: Run, call: Any, tmp_path: Path
) -> None:
    import shutil

    for folder in (compared.folder, finished.folder):
        copy = Path(shutil.copytree(folder, tmp_path / folder.name))
        (copy / "report.html").unlink()
        status, out, err = call("report", copy)
        assert (status, out, err) == (0, f"{copy / 'report.html'}\n", "")
        assert '<html lang="en">' in (copy / "report.html").read_text(encoding="utf-8")
        assert call("report", copy, "language=zh")[0] == 0
        assert '<html lang="zh">' in (copy / "report.html").read_text(encoding="utf-8")
    status, _, err = call("report", compared.folder, "language=fr")
    assert status == 2 and "report takes language=en or language=zh" in err
    status, _, err = call("report", tmp_path)
    assert status == 2 and "not a run folder" in err


def test_the_demo_compares_five_strategies_on_the_embedded_data() -> None:
    from welltuned.cli.demo import DEMO
    from welltuned.errors import Faults
    from welltuned.experiments.comparison.config import read_comparison
    from welltuned.experiments.comparison.variants import find_variants

    faults = Faults()
    config, document = read_comparison(None, [*DEMO, "seeds=3", "budget.epochs=2"], faults)
    assert config is not None and not list(faults)
    assert len(find_variants(config, document, faults)) >= 5
    assert (config.seeds, config.budget.epochs) == (3, 2)  # type: ignore[union-attr]
    assert config.data.train.startswith("demo:") and config.model.name.startswith("package:")


def test_the_demo_takes_no_config(call: Any) -> None:
    status, out, err = call("demo", "config.yaml")
    assert (status, out) == (2, "")
    assert "[cli.demo_takes_no_config]" in err
