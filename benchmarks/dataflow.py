"""What data flow is worth to a code model: the same runs with and without it.

Each set is learned by `full` fine-tuning with `task.encoding: dataflow` and without, seed by seed.
The model is a folder that is given, or a small RoBERTa that is made here: its tokenizer is learned
from the set's training code, and so are its weights, `--pretraining` times over, by
`task: masked_language_modelling` on tokens alone; with 0 they are random. Runs are kept in the
results file as soon as they have ended, and a run that is there is not run again.

    python benchmarks/dataflow.py run --seeds 3 --pretraining 40           # an hour of two cores
    python benchmarks/dataflow.py run --model FOLDER --out /tmp/dataflow.json
    python benchmarks/dataflow.py run --examples 60 --seeds 1 --epochs 1 --out /tmp/dataflow.json
    python benchmarks/dataflow.py write
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import welltuned as wt
from examples import EXAMPLES, with_line
from marked import ROOT, as_table, pages, write_parts
from speed.place import read_lines, write_lines
from welltuned.runs.folder import write_json

RESULTS = ROOT / "benchmarks/results/dataflow.json"
LANGUAGE = {"code_clone_bcb": "java", "code_defect_devign": "c"}
ENCODINGS = ("tokens", "dataflow")
HEADS = {
    "en": ("data", "training examples", "tokens alone", "with data flow", "difference", "time"),
    "zh": ("数据", "训练样本", "只有词元", "加数据流", "差值", "时间"),
}
MADE_OF = {
    "en": "Accuracy on the test split, means of {seeds} seeds, {epochs} epochs, {model}; "
    "differences in points with 95% intervals over examples, time as a multiple.",
    "zh": "测试集准确率，{seeds} 个种子的均值，{epochs} 轮，{model}；"
    "差值以百分点计，附对样本的 95% 区间，时间为倍数。",
}
MODELS = {
    "en": {
        "random": "a random RoBERTa of four blocks",
        "pretrained": "a RoBERTa of four blocks that learned hidden words of the training code for "
        "{pretraining} epochs",
        "given": "the model `{model}`",
    },
    "zh": {
        "random": "四个块、随机权重的 RoBERTa",
        "pretrained": "四个块的 RoBERTa，先在训练代码上学习被遮盖的词 {pretraining} 轮",
        "given": "模型 `{model}`",
    },
}


# --- Measuring --------------------------------------------------------------------------


def run(options: argparse.Namespace) -> None:
    """Carry out the runs that are not there yet."""
    asked = {name: getattr(options, name) for name in ("examples", "epochs", "max_length")}
    asked["model"] = Path(options.model).name if options.model else None
    asked["pretraining"] = 0 if options.model else options.pretraining
    kept = json.loads(options.out.read_text()) if options.out.exists() else {"runs": {}}
    if kept.get("asked", asked) != asked:
        raise SystemExit(f"{options.out} holds runs of {kept['asked']}: give another --out")
    kept["asked"] = asked
    with tempfile.TemporaryDirectory() as work:
        for seed in range(options.seeds):
            for name in options.sets:
                for encoding in ENCODINGS:
                    key = f"{name}/{encoding}/{seed}"
                    if key not in kept["runs"]:
                        kept["runs"][key] = measure(options, name, encoding, seed, Path(work))
                        write_json(options.out, kept)
                        right = np.mean(kept["runs"][key]["right"])
                        print(f"{key}: {right:.3f}", flush=True)


def measure(
    options: argparse.Namespace, name: str, encoding: str, seed: int, work: Path
) -> dict[str, Any]:
    """One run: which test examples it has right, and what it took."""
    data = work / name
    if not data.exists():
        copy_set(options.data / name, data, options.examples)
    model = options.model or made_model(data, work / f"model-{name}", options)
    task: dict[str, Any] = {"type": "classification", "max_length": options.max_length}
    if encoding == "dataflow":
        task["encoding"] = {"type": "dataflow", "language": LANGUAGE[name]}
    started = time.monotonic()
    found = wt.train(
        model=str(model),
        data={"train": str(data)},
        task=task,
        strategy="full",
        training={"seed": seed, "num_train_epochs": options.epochs, "device": "cpu"},
        evaluation={"retention": "none"},
        output_dir=str(work / f"{name}-{encoding}-{seed}"),
        observer=wt.Observer(),
    )
    seconds = time.monotonic() - started
    rows = [json.loads(line) for line in read_lines(found.folder / "predictions.jsonl")]
    facts = json.loads((found.folder / "data.json").read_text(encoding="utf-8"))
    return {
        "right": [int(row["prediction"] == row["label"]) for row in rows],
        "seconds": seconds,
        "train": facts["splits"]["train"]["rows"],
        "encoding": facts["task"].get("encoding"),
    }


def copy_set(source: Path, target: Path, most: int | None) -> None:
    """A set with the first examples of each split, or all."""
    target.mkdir()
    for file in sorted(source.glob("*.jsonl")):
        write_lines(target / file.name, read_lines(file)[:most])


def made_model(data: Path, folder: Path, options: argparse.Namespace) -> Path:
    """A model that has seen the training code alone, made once for all runs."""
    run = folder / "run"
    if not folder.exists():
        texts = sources(data)
        random_model(texts, folder)
        if options.pretraining:
            write_lines(folder / "sources.jsonl", [json.dumps({"text": text}) for text in texts])
            pretrain(folder, run, options)
    return run / "model" if options.pretraining else folder


def sources(data: Path) -> list[str]:
    """The functions of the training split, each once."""
    rows = [json.loads(line) for line in read_lines(data / "train.jsonl")]
    found = (row[name] for row in rows for name in ("text", "text_a", "text_b") if name in row)
    return list(dict.fromkeys(found))


def pretrain(model: Path, run: Path, options: argparse.Namespace) -> None:
    """Hidden words of the training code, a tenth of which is held out."""
    wt.train(
        model=str(model),
        data={
            "train": str(model / "sources.jsonl"),
            "folds": 2,
            "fold": "all",
            "compare_as": "code",
            "duplicates": "drop",
        },
        task={"type": "masked_language_modelling", "max_length": options.max_length},
        strategy="full",
        training={
            "seed": 0,
            "num_train_epochs": options.pretraining,
            "learning_rate": 5e-4,
            "device": "cpu",
        },
        evaluation={"retention": "none", "test": False},
        output_dir=str(run),
        observer=wt.Observer(),
    )


def random_model(texts: Sequence[str], folder: Path) -> None:
    """A RoBERTa of four blocks with random weights, and a tokenizer learned from the code."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaForMaskedLM, RobertaTokenizerFast

    learned = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learned.train_from_iterator(texts, vocab_size=4000, special_tokens=special)
    folder.mkdir()
    learned.save_model(str(folder))
    files = str(folder / "vocab.json"), str(folder / "merges.txt")
    RobertaTokenizerFast(*files, model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=learned.get_vocab_size(),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=514,
        type_vocab_size=1,
    )
    RobertaForMaskedLM(config).save_pretrained(folder)


# --- Telling ----------------------------------------------------------------------------


def difference(one_SN: np.ndarray, other_SN: np.ndarray) -> tuple[float, float, float]:
    """What the second has right more often (value, low, high), from draws of examples."""
    more_N = (other_SN - one_SN).mean(axis=0)
    draws = np.random.default_rng(0).integers(len(more_N), size=(2000, len(more_N)))
    low, high = np.percentile(more_N[draws].mean(axis=1), [2.5, 97.5])
    return float(more_N.mean()), float(low), float(high)


def row_of(name: str, runs: Mapping[str, Any]) -> list[str]:
    """A set's row, from the seeds that both ways have."""
    of = {
        way: {k: v for k, v in runs.items() if k.startswith(f"{name}/{way}/")} for way in ENCODINGS
    }
    seeds = sorted({k.rpartition("/")[2] for k in of["tokens"]} & {
        k.rpartition("/")[2] for k in of["dataflow"]
    })  # fmt: skip
    both = [[runs[f"{name}/{way}/{seed}"] for seed in seeds] for way in ENCODINGS]
    right = [np.array([one["right"] for one in side], dtype=float) for side in both]
    seconds = [sum(one["seconds"] for one in side) for side in both]
    value, low, high = (100 * number for number in difference(right[0], right[1]))
    return [
        f"`{name}`",
        f"{both[0][0]['train']:,}",
        *(f"{side.mean():.3f}" for side in right),
        f"{value:+.1f} [{low:+.1f}, {high:+.1f}]",
        f"{seconds[1] / seconds[0]:.2f}",
    ]


def part_of(kept: Mapping[str, Any], language: str) -> str:
    """The table, and what it was made of."""
    runs, asked = kept["runs"], kept["asked"]
    names = list(dict.fromkeys(key.partition("/")[0] for key in runs))
    made = "pretrained" if asked["pretraining"] else "random"
    model = MODELS[language]["given" if asked["model"] else made].format(**asked)
    seeds = len({key.rpartition("/")[2] for key in runs})
    told = MADE_OF[language].format(seeds=seeds, epochs=asked["epochs"], model=model)
    table = as_table(HEADS[language], [row_of(name, runs) for name in names], left=1)
    return f"{table}\n\n{told}"


def measured_line(kept: Mapping[str, Any]) -> str:
    """The line in the header of the example, which has a model that is not measured here."""
    _, examples, tokens, dataflow, change, _ = row_of("code_defect_devign", kept["runs"])
    return (
        f"# Measured: accuracy {dataflow}, tokens alone {tokens}, difference {change} points, by a "
        f"small RoBERTa\n# and {examples} functions (docs/hard-data.md); GraphCodeBERT has to come "
        "from the hub."
    )


def write(options: argparse.Namespace) -> None:
    """Put the table into both pages, and what it says of the example into its header."""
    kept = json.loads(options.out.read_text(encoding="utf-8"))
    write_parts(pages("hard-data"), "dataflow", {one: part_of(kept, one) for one in HEADS})
    example = EXAMPLES / "code_dataflow.yaml"
    text = with_line(example.read_text(encoding="utf-8"), measured_line(kept))
    example.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("verb", choices=("run", "write"))
    parser.add_argument("--model", help="a RoBERTa-like folder; none: a small one is made")
    parser.add_argument("--pretraining", type=int, default=0, help="epochs of the one that is made")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--sets", nargs="+", default=list(LANGUAGE), choices=list(LANGUAGE))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--examples", type=int, default=None)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    {"run": run, "write": write}[options.verb](options)


if __name__ == "__main__":
    main()
