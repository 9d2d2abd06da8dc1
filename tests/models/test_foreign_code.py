"""Code that comes with a model is not run unasked, and nobody is asked on standard input."""

from __future__ import annotations

import ast
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import welltuned
import welltuned as wt
from faults import refused
from welltuned.models.checkpoint_files import check_files
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config, read_tokenizer
from welltuned.runs import Run


def made_hostile(folder: Path, file: str = "config.json") -> Path:
    """The folder with code of its own that writes a file, for a family that nobody knows."""
    ran = folder.parent / "ran"
    (folder / "evil.py").write_text(
        f"open({str(ran)!r}, 'w').write('ran')\n"
        "from transformers import BertConfig as Config, BertModel as Model\n"
        "from transformers import BertTokenizerFast as Tokenizer\n"
    )
    settings = json.loads((folder / file).read_text())
    settings["auto_map"] = {
        "AutoConfig": "evil.Config",
        "AutoModel": "evil.Model",
        "AutoModelForSequenceClassification": "evil.Model",
        "AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"],
    }
    settings |= {"model_type": "foreign"} if file == "config.json" else {}
    settings |= {"tokenizer_class": "EvilTokenizer"} if file != "config.json" else {}
    (folder / file).write_text(json.dumps(settings))
    return ran


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_of_an_artifact(
    file: str, finished: Run, tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(finished.model, tmp_path / "model"))
    ran = made_hostile(folder, file)
    (folder / "SHA256SUMS").unlink()
    monkeypatch.setattr("builtins.input", lambda words="": pytest.fail("it asks"))
    status, out, err = call("predict", folder, stdin="y\ny\n")
    if file == "config.json":
        assert (status, out) == (2, "") and "[model.own_code_refused]" in err
    assert not ran.exists()


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_of_a_base_model(
    file: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny("bert"), tmp_path / "model"))
    ran = made_hostile(folder, file)
    monkeypatch.setattr("builtins.input", lambda words="": pytest.fail("it asks"))
    model = ModelConfig(name=str(folder))
    if file == "config.json":
        with refused("model.own_code_refused", name=str(folder)):
            read_model_config(model)
    else:
        read_tokenizer(model)
    assert not ran.exists()


def test_every_call_that_could_run_it_says_whether_it_may() -> None:
    """`AutoX.from_pretrained` asks on standard input where nobody has told it."""
    silent = []
    for file in sorted(Path(welltuned.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            text = ast.unparse(node)
            loads = node.func.attr in ("from_pretrained", "from_config")
            if loads and "trust_remote_code" not in text and ", **" not in text:
                silent.append(f"{file.name}: {text}")
    peft = [one for one in silent if "PeftModel.from_pretrained" in one]  # knows no such code
    ours = [one for one in silent if one.startswith("reference_runs.py")]  # a config made there
    static = [one for one in silent if "StaticModel.from_pretrained" in one]  # a table of vectors
    assert (len(peft), len(ours), len(static)) == (2, 1, 1)
    assert set(silent) == {*peft, *ours, *static}


# --- Pickles --------------------------------------------------------------------------------


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.file,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"])
def test_a_pickle_is_refused_with_the_command_that_converts_it(
    name: str, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file

    folder = Path(shutil.copytree(tiny("bert"), tmp_path / "model"))
    (folder / "model.safetensors").rename(tmp_path / "before.safetensors")
    before = load_file(tmp_path / "before.safetensors")
    torch.save(before, folder / name)
    with refused("model.weights_pickled", place=str(folder / name)) as caught:
        read_model_config(ModelConfig(name=str(folder)))
    monkeypatch.chdir(folder)
    exec(caught.value.faults[0].values["command"], {})
    after = load_file("model.safetensors")
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    check_files(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Bomb(tmp_path / "ran")}, folder / name)
    with pytest.raises(Exception, match="weights_only"):
        exec(caught.value.faults[0].values["command"], {})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["weights.bin", "../outside.safetensors"])
def test_weights_that_a_config_names_are_held_to_the_same(
    name: str, tiny: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny("bert"), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": name}))
    with refused("model.weights_pickled"):
        read_model_config(ModelConfig(name=str(folder)))


def test_an_artifact_of_pickles_is_refused(adapted: Run, tmp_path: Path) -> None:
    import torch

    folder = Path(shutil.copytree(adapted.model, tmp_path / "model"))
    (folder / "adapter_model.safetensors").unlink()
    manifest = json.loads((folder / "welltuned.json").read_text())
    (folder / "welltuned.json").write_text(json.dumps({**manifest, "files": []}))
    torch.save({}, folder / "adapter_model.bin")
    with refused("model.weights_pickled"):
        wt.load(folder)
