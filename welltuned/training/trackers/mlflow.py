"""MLflow, by its own settings: `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME`.

Its client is told directly, so that a run of the program's own stays the active one.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from welltuned.training.trackers.base import PROJECT, End, TrackedRun, Tracker

GROUP = "welltuned.group"
"""The tag by which the runs of a comparison or sweep are found together."""
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
_UNNAMEABLE = re.compile(r"[^\w\-. /]")
_AT_ONCE, _LONGEST = 100, 500
"""Parameters of a request, and letters of one, at most."""


class MLflow(Tracker):
    """Each run is a run of one experiment."""

    package: ClassVar[str] = "mlflow"

    def __init__(self) -> None:
        self._client: Any = None
        self._run = ""

    def begin(self, run: TrackedRun) -> str:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        if run.known_as is not None:
            self._run = run.known_as
            self._client.update_run(self._run, status="RUNNING")
            return self._run
        tags = {} if run.group is None else {GROUP: run.group}
        made = self._client.create_run(self._experiment(), run_name=run.name, tags=tags)
        self._run = str(made.info.run_id)
        self._log_settings(run.settings)
        return self._run

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_named(name), value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def end(self, how: End) -> None:
        self._client.set_terminated(self._run, status=_STATUS[how])

    def _log_settings(self, settings: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        params = [Param(_named(key), str(value)[:_LONGEST]) for key, value in settings.items()]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(self._run, params=params[start : start + _AT_ONCE])

    def _experiment(self) -> str:
        """The id of the experiment, which is made where there is none."""
        from mlflow.exceptions import MlflowException

        if number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return number
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        if (found := self._client.get_experiment_by_name(name)) is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:  # another process has made it meanwhile
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)


def _named(name: str) -> str:
    """A name with the letters that MLflow allows in one."""
    return _UNNAMEABLE.sub("_", name)
