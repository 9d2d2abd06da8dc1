"""What importing welltuned teaches PEFT and transformers, in whatever order they come."""

from __future__ import annotations

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


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize(
    "order",
    [
        "peft, transformers, welltuned",
        "transformers, welltuned, peft",
        "welltuned, transformers, peft",
        "welltuned, peft, transformers",
    ],
)
def test_both_libraries_know_our_parts_whichever_is_imported_first(order: str) -> None:
    done = run(f"import {order}\n" + KNOWN)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    "first",
    [
        "welltuned.strategies.peft_methods.prefix",
        "welltuned.models.modeling_pooled",
        "welltuned.artifact.save_load",
    ],
)
def test_any_module_of_ours_may_be_the_first_import(first: str) -> None:
    """Importing a library runs our hook, which imports the module that asked for the library."""
    done = run(f"import {first}\n" + KNOWN)
    assert done.returncode == 0, done.stderr[-2000:]


def test_importing_welltuned_imports_nothing_heavy() -> None:
    """`welltuned --help` answers at once."""
    heavy = ["torch", "transformers", "peft", "numpy", "sklearn"]
    done = run(f"import sys, welltuned\nprint([n for n in {heavy} if n in sys.modules])")
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
