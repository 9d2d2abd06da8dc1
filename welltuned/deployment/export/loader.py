"""Answers of the exported model in this folder, without torch or transformers.

pip install onnxruntime tokenizers numpy    # of an OpenVINO export: openvino tokenizers numpy
python predict.py "a text" "another"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

Text = str | tuple[str, str]
Row = dict[str, object]


class TextModel:
    """An exported model. Texts, or tuples of two for a model of pairs, go in; answers come out."""

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        self.told = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = self.told["special_tokens"] == "text"
        self.tokenizer.enable_truncation(
            self.told["max_length"], direction=self.told["truncation_side"]
        )
        self.tokenizer.enable_padding(pad_id=self.told["pad_id"])
        self.run = _runtime(folder, self.told["format"])

    def logits(self, texts: Sequence[Text]) -> np.ndarray:
        """(N, labels), or (N, tokens, tags), of one text at least."""
        read = self.tokenizer.encode_batch(texts)
        columns = {
            "input_ids": [text.ids for text in read],
            "attention_mask": [text.attention_mask for text in read],
            "token_type_ids": [text.type_ids for text in read],
        }
        return self.run({name: np.array(columns[name], np.int64) for name in self.told["inputs"]})

    def predict(self, texts: Sequence[Text]) -> list[Row]:
        """A row for each text: its prediction, and the probability of each label."""
        if not texts:
            return []
        logits, labels, rule = self.logits(texts), self.told["labels"], self.told["decision_rule"]
        logits = logits.astype(np.float64) / rule.get("temperature", 1.0)
        if self.told["predictions"] == "number":
            return [{"prediction": float(value)} for value in logits[:, 0]]
        if self.told["predictions"] == "multi_label":
            return [_several(row, labels, rule) for row in (1 + np.tanh(logits / 2)) / 2]
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        if self.told["predictions"] == "single_label":
            return [_one(row, labels, rule) for row in shares]
        return self._tags(texts, shares)

    def _tags(self, texts: Sequence[Text], shares: np.ndarray) -> list[Row]:
        """The tag of each token of each text, with the characters that it stands for."""
        rows: list[Row] = []
        for text, row in zip(self.tokenizer.encode_batch(texts), shares, strict=True):
            said = [self.told["labels"][tag] for tag in row.argmax(axis=-1)]
            spans = zip(said, text.offsets, text.special_tokens_mask, strict=True)
            rows.append({"prediction": [(tag, *span) for tag, span, no in spans if not no]})
        return rows


def _one(shares: np.ndarray, labels: list[str], rule: dict[str, Any]) -> Row:
    """The likeliest label, or that of the least expected cost; none where it is not sure enough."""
    said = int(shares.argmax())
    if costs := rule.get("costs"):
        said = int((shares @ np.array([[costs[i][j] for j in labels] for i in labels])).argmin())
    sure = shares.max() >= rule.get("abstain_below", 0.0)
    chances = dict(zip(labels, shares.round(6).tolist(), strict=True))
    return {"prediction": labels[said] if sure else None, "probabilities": chances}


def _several(shares: np.ndarray, labels: list[str], rule: dict[str, Any]) -> Row:
    """The labels that are likelier than their thresholds."""
    thresholds = rule.get("thresholds", {})
    chances = dict(zip(labels, shares.round(6).tolist(), strict=True))
    pairs = zip(labels, shares, strict=True)
    said = [name for name, share in pairs if share > thresholds.get(name, 0.5)]
    return {"prediction": said, "probabilities": chances}


def _runtime(folder: Path, format: str) -> Any:
    """A function from arrays by name to logits."""
    if format == "openvino":
        import openvino

        # By itself it computes what is not quantised in bf16 where the processor can.
        precisely = {"INFERENCE_PRECISION_HINT": "f32"}
        model = openvino.Core().compile_model(str(folder / "model.xml"), "CPU", precisely)
        return lambda arrays: np.array(model(arrays)[model.output(0)])
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    return lambda arrays: session.run(None, arrays)[0]


if __name__ == "__main__":
    for row in TextModel().predict(sys.argv[1:]):
        print(json.dumps(row, ensure_ascii=False))
