"""welltuned: fine-tune a pretrained language model on your own data, and see which way works best.

import welltuned as wt
run = wt.train(model="…", data="train.jsonl", strategy="lora")
wt.load(run).predict(["a text"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from welltuned.models.compat import AUTO_MODELS

if TYPE_CHECKING:
    from welltuned.artifact.predictor import Predictor
    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "load", "train"]

# Both libraries learn of our parts when they are imported themselves: `import welltuned` stays
# instant. A hook named by its path is not imported before it is called.
wrapt.register_post_import_hook(
    "welltuned.strategies.peft_methods.register:register_with_peft", "peft"
)
wrapt.register_post_import_hook(
    "welltuned.models.register:register_with_transformers",
    AUTO_MODELS,
)


def train(config: Any = None, **values: Any) -> Run:
    """Carry out a run and return its folder.

    `config` is a `RunConfig`, a mapping, or the path of a YAML file; without it the
    keys are given as keyword arguments: `train(model=…, data=…, strategy="lora")`.
    With `pipeline: rlhf` it is a pipeline of three runs.
    Raises `InputError` before any weight is loaded when something cannot work.
    """
    from welltuned.config import RunConfig, run_config_from
    from welltuned.training.load_config import load_config
    from welltuned.training.train import run_training as carry_out

    if _names_pipeline(config, values):
        return _train_pipeline(config, values)
    if isinstance(config, RunConfig):
        if values:
            config = run_config_from({**config.model_dump(mode="json"), **values})
        return carry_out(config)
    if config is None or isinstance(config, dict):
        return carry_out(run_config_from({**(config or {}), **values}))
    return carry_out(load_config(str(config), [f"{key}={value}" for key, value in values.items()]))


def _names_pipeline(config: Any, values: dict[str, Any]) -> bool:
    """Whether `pipeline:` stands in the config, however it is given."""
    from welltuned.schema.document import Part, peek

    if isinstance(config, Part):
        return "pipeline" in type(config).model_fields
    if config is None or isinstance(config, dict):
        return "pipeline" in {**(config or {}), **values}
    return (
        peek(str(config), [f"{key}={value}" for key, value in values.items()], "pipeline")
        is not None
    )


def _train_pipeline(config: Any, values: dict[str, Any]) -> Run:
    from welltuned.rlhf import pipeline, read_config
    from welltuned.schema.document import Part

    if isinstance(config, Part):
        config = config.model_dump(mode="json")
    if config is None or isinstance(config, dict):
        return pipeline.run_pipeline(read_config.rlhf_config_from({**(config or {}), **values}))
    return pipeline.run_pipeline(
        read_config.load_rlhf_config(str(config), [f"{k}={v}" for k, v in values.items()])
    )


def __getattr__(name: str) -> Any:
    """`wt.ppo`, imported when it is asked for."""
    if name == "ppo":
        import importlib

        return importlib.import_module("welltuned.rlhf.api")
    raise AttributeError(f"module 'welltuned' has no attribute '{name}'")


def compare(config: Any = None, **values: Any) -> Comparison:
    """Compare strategies on the same data; returns the comparison, with `folder` and `results`.

    `config` is a `CompareConfig`, a mapping, or the path of a YAML file; without it the keys are
    given as keyword arguments: `compare(model=…, data=…, strategies=["full", "lora"], seeds=3)`.
    Raises `InputError` before any run when something cannot work. Runs that are finished
    already are not run again.
    """
    from welltuned.errors import Faults
    from welltuned.experiments.comparison.compare import run_comparison as carry_out
    from welltuned.experiments.comparison.config import (
        CompareConfig,
        comparison_from,
        read_comparison,
    )

    if isinstance(config, CompareConfig):
        config = config.model_dump(mode="json", exclude_unset=True)
    if config is None or isinstance(config, dict):
        return carry_out(comparison_from({**(config or {}), **values}))
    faults = Faults()
    overrides = [f"{key}={value}" for key, value in values.items()]
    read, document = read_comparison(str(config), overrides, faults)
    faults.raise_if_any()
    assert read is not None
    return carry_out(read, document)


def load(run: Any, device: str = "auto") -> Predictor:
    """A predictor from a run, its folder or a bare model folder."""
    from welltuned.artifact.predictor import Predictor

    return Predictor.load(run, device)
