"""Loads saved models with transformers and PEFT; run as a script, in a process of its own.

python plain.py JOBS.json RESULTS.json [import-welltuned]

JOBS holds {name: {"folder", "texts", "trust"}}; RESULTS gets {name: logits}. Without the
third word, welltuned cannot be imported there at all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def ask(jobs: dict[str, Any], folder: Path, import_welltuned: bool) -> dict[str, Any]:
    """What each folder's model answers in another process; an error there fails the test."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [sys.executable, __file__, str(folder / "jobs.json"), str(folder / "results.json")]
    done = subprocess.run(
        [*command, *(["import-welltuned"] if import_welltuned else [])],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def load(folder: str, trust: bool) -> Any:
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForSequenceClassification

    if not (Path(folder) / "adapter_config.json").exists():
        return AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=trust)
    settings = json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust)
    base = AutoModelForSequenceClassification.from_pretrained(
        settings["base_model_name_or_path"], config=config, trust_remote_code=trust
    )
    return PeftModel.from_pretrained(base, folder)


def answer(folder: str, texts: list[str], trust: bool) -> list[list[float]]:
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = load(folder, trust).eval()
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    return list(logits.tolist())


def main() -> None:
    jobs, results, *words = sys.argv[1:]
    if words == ["import-welltuned"]:
        import welltuned  # noqa: F401
    else:
        sys.modules["welltuned"] = None  # type: ignore[assignment]
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    answers = {
        name: answer(job["folder"], job["texts"], job["trust"])
        for name, job in json.loads(Path(jobs).read_text(encoding="utf-8")).items()
    }
    Path(results).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
