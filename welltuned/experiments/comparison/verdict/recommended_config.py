"""recommended.yaml: the config that trains the recommended strategy."""

from __future__ import annotations

from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import Recommendation
from welltuned.schema import versions

RECOMMENDED = "recommended.yaml"


def write_config(comparison: Comparison, recommendation: Recommendation) -> None:
    """Write the config that trains the recommended strategy, and put the command beside it.

    It is the cell's own, with every choice spelled out; only the limit on training
    examples is lifted, all folds are learned from, and the budget is kept in epochs.
    """
    if recommendation["strategy"] is None:
        (comparison.folder / RECOMMENDED).unlink(missing_ok=True)
        return
    run = comparison.cell(recommendation["slug"], recommendation["seed"])
    config, asked = run.config, comparison.record["asked"]
    own = config["sft"] if "pipeline" in config else config  # what all strategies have
    training = own["training"]
    if training["max_steps"] is not None:
        training["num_train_epochs"] = round(run.results["training"]["epochs"], 2)
    training |= {"max_steps": None} | {
        key: asked["training"][key] for key in ("eval_strategy", "eval_steps")
    }
    limited = config["data"]["max_train_examples"] is not None
    config["data"]["max_train_examples"] = None
    for key in (versions.KEY, "output_dir"):
        del config[key]
    own["evaluation"] = asked["evaluation"]
    if config["data"].get("folds"):  # all of which are learned from now
        config["data"]["fold"], limited = "all", True
        own["evaluation"] = {**asked["evaluation"], "test": False}
    comparison.write(RECOMMENDED, config)
    recommendation["command"] = f"welltuned train {comparison.folder / RECOMMENDED}"
    recommendation["all_data"] = limited
