"""Makes the artifacts of `fixtures/`: run it once for a version of the format, before the next.

    python tests/artifact/make_fixtures.py

It writes `fixtures/version-N/`: a tiny base model, a run that tuned all of its weights, one that
tuned LoRA, without what tests do not read, and what each predicts. Those of older versions can
no longer be made; they are what users have on their disks.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).with_name("fixtures")
BASE = "tiny-bert"
TEXTS = ["a good film", "the bad film was dull", "warm", "never seen words"]
STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"type": "full", "layer_decay": 0.9},
    "lora": {"type": "lora", "r": 2, "lora_alpha": 12, "target_modules": "all-linear"},
}
_KEPT = ("config.yaml", "results.json", "status.json", "model")
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_GOOD, _BAD, _OTHER = ["good", "warm"], ["bad", "dull"], ["a", "the", "film", "was", "so", "it"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        save_base(Path(BASE))
        write_data(Path("data.jsonl"))
        runs = {name: _train(name, strategy) for name, strategy in STRATEGIES.items()}
        manifest = json.loads((runs["full"] / "model" / "welltuned.json").read_text())
        target = FIXTURES / f"version-{manifest['schema_version']}"
        if target.exists():
            sys.exit(f"{target} is there already, and a fixture is never made again")
        shutil.copytree(BASE, target / BASE)
        for name, run in runs.items():
            _keep(run, target / name)


def save_base(folder: Path) -> None:
    """A BERT of one block, eight numbers wide, that knows fourteen words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*_SPECIAL, *_GOOD, *_BAD, *_OTHER])}
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            max_position_embeddings=16,
            initializer_range=0.5,
        )
    )
    model.save_pretrained(folder)
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=16, **names).save_pretrained(
        folder
    )


def write_data(file: Path) -> None:
    """Forty texts whose label can be read off their words."""
    rng = random.Random(0)
    rows: dict[str, str] = {}
    while len(rows) < 40:
        label, words = rng.choice([("positive", _GOOD), ("negative", _BAD)])
        text = " ".join([*rng.choices(_OTHER, k=rng.randint(1, 6)), rng.choice(words)])
        rows[text] = label
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows.items()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _train(name: str, strategy: dict[str, Any]) -> Path:
    import welltuned as wt

    run = wt.train(
        model=BASE,
        data="data.jsonl",
        task={"pooling": "model"},
        strategy=strategy,
        training={"num_train_epochs": 30, "learning_rate": 3e-2, "device": "cpu"},
        evaluation={"retention": "none"},
        output_dir=name,
    )
    rows = wt.load(run).predict(TEXTS)
    predicted = [{"text": text, **row} for text, row in zip(TEXTS, rows, strict=True)]
    run.write("expected.json", {"predictions": predicted})
    return Path(run.folder)


def _keep(run: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in (*_KEPT, "expected.json"):
        copy = shutil.copytree if (run / name).is_dir() else shutil.copyfile
        copy(run / name, target / name)


if __name__ == "__main__":
    main()
