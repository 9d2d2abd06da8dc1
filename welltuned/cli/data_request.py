"""What `welltuned data` is asked about: a config, of a run or a pipeline, or a bare data file."""

from __future__ import annotations

from welltuned.config import read_run_config
from welltuned.data.config import DataConfig
from welltuned.errors import Faults
from welltuned.experiments.adaptation.read_config import ADAPT, load_adapt_config
from welltuned.models.config import ModelConfig
from welltuned.rlhf.read_config import load_rlhf_config
from welltuned.schema.document import is_config_file, peek
from welltuned.schema.part import Part
from welltuned.schema.validation import read_settings
from welltuned.tasks import DEFAULT_TASK, AnyTask


class DataRequest(Part):
    """The part of a config that says what the data are and how they are read."""

    data: DataConfig
    task: AnyTask = DEFAULT_TASK
    model: ModelConfig | None = None


def read_data_request(file: str | None, overrides: list[str]) -> DataRequest:
    """Of a config, or of a data file or folder; overrides may add to either.

    Raises `InputError` with all faults found.
    """
    if file is None or not is_config_file(file):
        return _of_data(file, overrides)
    pipeline_type = peek(file, overrides, "pipeline")
    if pipeline_type is not None:
        load = load_adapt_config if pipeline_type == ADAPT else load_rlhf_config
        pipeline = load(file, overrides)
        return DataRequest(data=pipeline.data, task=pipeline.task, model=pipeline.model)
    faults = Faults()
    config, _ = read_run_config(file, overrides, faults)
    faults.raise_if_any()
    assert config is not None
    return DataRequest(data=config.data, task=config.task, model=config.model)


def _of_data(file: str | None, overrides: list[str]) -> DataRequest:
    named = [f"data.train={file}"] if file else []
    return read_settings(DataRequest, [*named, *overrides])
