"""TensorBoard: event files in the run's own folder, `RUN/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from welltuned.runs.folder import yaml_text
from welltuned.training.trackers.base import End, TrackedRun, Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """`tensorboard --logdir runs` shows all runs below a folder, by their paths."""

    package: ClassVar[str] = "tensorboard"

    def __init__(self) -> None:
        self._writer: SummaryWriter | None = None
        self._settings: dict[str, bool | int | float | str] = {}

    def begin(self, run: TrackedRun) -> str:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / FOLDER))
        self._settings = run.settings
        if run.known_as is None:
            self._writer.add_text("config", f"```\n{yaml_text(run.config)}```", 0)
        return FOLDER

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        assert self._writer is not None
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def conclude(self, step: int, numbers: Mapping[str, float]) -> None:
        """As a row of the table of hyper-parameters, and as numbers of the last step."""
        assert self._writer is not None
        self._writer.add_hparams(self._settings, dict(numbers), run_name=".", global_step=step)

    def end(self, how: End) -> None:
        assert self._writer is not None
        self._writer.close()
