"""TensorBoard's event files, read back by TensorBoard itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")

from resuming import Killed, Killing
from welltuned.runs import Run
from welltuned.training.trackers import TrackedRun
from welltuned.training.trackers.numbers import final_numbers, numbers_of
from welltuned.training.trackers.tensorboard import TensorBoard
from welltuned.training.train import resume_training, run_training


def read(folder: Path) -> Any:
    """All events of a folder, as TensorBoard takes them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0, "tensors": 0})
    return events.Reload()


def curves(events: Any) -> dict[str, list[tuple[int, float]]]:
    tags = events.Tags()["scalars"]
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in tags}


def written(run: Run) -> dict[str, list[tuple[int, Any]]]:
    """The curves that metrics.jsonl and results.json hold."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for row in run.read_lines("metrics.jsonl"):
        for name, value in numbers_of(row).items():
            found.setdefault(name, []).append((row["step"], pytest.approx(value, rel=1e-6)))
    last = max(row["step"] for row in run.read_lines("metrics.jsonl"))
    for name, value in final_numbers(run.results).items():
        found[name] = [(last, pytest.approx(value, rel=1e-6))]
    return found


@pytest.mark.parametrize("engine", ["torch", "hf"])
def test_its_files_hold_the_curves_of_a_run(engine: str, asked: Any) -> None:
    run = run_training(asked("run", engine=engine))
    events = read(run.folder)
    assert curves(events) == written(run)
    (config,) = events.Tensors("config/text_summary")
    assert b"report_to" in config.tensor_proto.string_val[0]


def test_a_run_that_goes_on_has_one_curve(asked: Any) -> None:
    with pytest.raises(Killed):
        run_training(asked("other"), Killing(5))
    run = resume_training(Path(asked("other").output_dir))
    found, wanted = curves(read(run.folder)), written(run)
    clocks = {name for name in wanted if "second" in name}
    assert {k: v for k, v in found.items() if k not in clocks} == {
        k: v for k, v in wanted.items() if k not in clocks
    }
    assert [step for step, _ in found["train/seconds"]] == [1, 2, 4, 6]


def test_the_config_is_a_row_of_the_table_of_hyper_parameters(tracked: TrackedRun) -> None:
    board = TensorBoard()
    assert board.begin(tracked) == "tensorboard"
    board.conclude(4, {"test/accuracy": 0.5})
    board.end("finished")
    events = read(tracked.folder)
    assert curves(events) == {"test/accuracy": [(4, 0.5)]}
    found = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"training.learning_rate" in found


def test_a_config_without_secrets_is_told(tmp_path: Path) -> None:
    board = TensorBoard()
    board.begin(TrackedRun("a", None, tmp_path, {"hub_token": "correcthorse"}))
    board.end("stopped")
    content = b"".join(file.read_bytes() for file in (tmp_path / "tensorboard").iterdir())
    assert b"hub_token" in content and b"correcthorse" not in content
