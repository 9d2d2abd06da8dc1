"""What importing welltuned teaches PEFT and transformers, in whatever order they come."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from welltuned.strategies.peft_methods.register import register_with_peft

KNOWN = """
from peft import PeftConfig, get_peft_config
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as configs
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING as prefixes
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING as tuners
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import AutoModelForSequenceClassification as Auto
names = ("WELLTUNED_ADAPTER", "WELLTUNED_PROMPT", "WELLTUNED_PREFIX")
assert all(name in table for name in names for table in (configs, prefixes, tuners))
assert len({prefixes[name] for name in names}) == 3
config = AutoConfig.for_model("welltuned-pooled")
assert type(config).__name__ == "PooledConfig"
assert Auto._model_mapping[type(config)].__name__ == "PooledForSequenceClassification"
"""


FORKING = """
import json, os, sys, traceback
import sklearn.metrics, torch, torch._dynamo, torch.distributed.tensor
assert not {"peft", "transformers", "welltuned"} & set(sys.modules)
ends = []
for code in json.load(sys.stdin):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(writing, 2)
        try:
            exec(code, {})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    ends.append([os.wait()[1], said])
print(json.dumps(ends))
"""
"""Each code in a process of its own, which has imported torch, as it takes longest, and no more."""
ORDERS = (
    "peft, transformers, welltuned",
    "transformers, welltuned, peft",
    "welltuned, transformers, peft",
    "welltuned, peft, transformers",
)
FIRST = (
    "welltuned.strategies.peft_methods.prefix",
    "welltuned.models.modeling_pooled",
    "welltuned.artifact.save_load",
)

End = tuple[int, str]
"""The exit status of a process, and what it said of an error."""


@pytest.fixture(scope="module")
def ends() -> dict[str, End]:
    """How each import ended, after which both libraries were asked for our parts."""
    asked = json.dumps([f"import {modules}\n{KNOWN}" for modules in (*ORDERS, *FIRST)])
    command = [sys.executable, "-c", FORKING]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    told = [(status, said) for status, said in json.loads(done.stdout.splitlines()[-1])]
    return dict(zip((*ORDERS, *FIRST), told, strict=True))


@pytest.mark.parametrize("order", ORDERS)
def test_both_libraries_know_our_parts_whichever_is_imported_first(
    order: str, ends: dict[str, End]
) -> None:
    status, said = ends[order]
    assert status == 0, said[-2000:]


@pytest.mark.parametrize("first", FIRST)
def test_any_module_of_ours_may_be_the_first_import(first: str, ends: dict[str, End]) -> None:
    """Importing a library runs our hook, which imports the module that asked for the library."""
    status, said = ends[first]
    assert status == 0, said[-2000:]


def test_importing_welltuned_imports_nothing_heavy() -> None:
    """`welltuned --help` answers at once."""
    heavy = ["torch", "transformers", "peft", "numpy", "sklearn"]
    code = f"import sys, welltuned\nprint([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_registering_again_changes_nothing() -> None:
    import peft
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING as tuners

    before = dict(tuners)
    register_with_peft(peft)
    assert dict(tuners) == before


def test_pefts_own_methods_are_left_alone() -> None:
    """And it takes no outside name itself: hence the mappings."""
    from peft import LoraConfig, PeftType
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as configs

    assert configs[PeftType.LORA] is LoraConfig
    assert "WELLTUNED_PROMPT" not in list(PeftType)
