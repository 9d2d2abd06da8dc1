"""Which GPUs train which model: the memory of each, foreseen for models that are only a config.

    python benchmarks/gpu_memory.py

`shapes/` has the config of two models, without weights. Rows of 2,048 tokens, one at a time, in
bf16, with AdamW. Prints the table of `docs/many-gpus.md`: of all ways that a plan knows the one
that takes the least.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHAPES = Path(__file__).parent / "shapes"
STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"type": "full"},
    "lora": {"type": "lora", "r": 16},
}
GPUS = ("24GB", "80GB", "8x80GB")
_TOKENS = 2048
_WORD = "word"


def model_folder(shape: str, into: Path) -> Path:
    """A config with a tokenizer of one word; what a word is does not matter to memory."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = into / shape
    folder.mkdir()
    own = json.loads((SHAPES / shape / "config.json").read_text(encoding="utf-8"))
    backend = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, _WORD: 3}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=own["max_position_embeddings"], **special
    )
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(own), encoding="utf-8")
    return folder


def config_for(shape: str, strategy: dict[str, Any], into: Path, tokens: int = _TOKENS) -> Any:
    """A run on rows that are as long as they may be."""
    from welltuned.config import run_config_from

    data = into / "long.jsonl"
    rows = [
        {"instruction": f"{_WORD} {i}", "output": " ".join([_WORD] * (tokens - 16))}
        for i in range(40)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    folder = into / shape if (into / shape).exists() else model_folder(shape, into)
    return run_config_from(
        {
            "model": str(folder),
            "data": str(data),
            "task": {"type": "generation", "max_length": tokens},
            "strategy": strategy,
            "training": {"per_device_train_batch_size": 1, "precision": "bf16"},
            "evaluation": {"retention": "none"},
        }
    )


def rows() -> Iterator[str]:
    """The table, line by line."""
    from welltuned.schema.units import size_text
    from welltuned.training.forecast.gpu_plan import rehearse_ways
    from welltuned.training.forecast.gpus import Gpus

    yield "| model | strategy | GPUs | fits | in the least memory | of each GPU |"
    yield "|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        for shape in sorted(file.name for file in SHAPES.iterdir()):
            for name, strategy in STRATEGIES.items():
                config = config_for(shape, strategy, Path(folder))
                ways = rehearse_ways(config, lambda what, done, total: None)
                for written in GPUS:
                    plan = ways.on(Gpus.read(written))
                    least = min(plan.rows, key=lambda row: row.memory.total)
                    fits = "yes" if least.fits else f"no: {plan.enough or 'more than 1,024'} would"
                    way = " ".join(f"`{key}`" for key in least.way.keys)
                    taken = size_text(least.memory.total)
                    yield f"| {shape} | {name} | {written} | {fits} | {way} | {taken} |"


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
