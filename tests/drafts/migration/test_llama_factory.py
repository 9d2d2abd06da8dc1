"""LLaMA-Factory's configs and its `dataset_info.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from migrating import found, loaded, migrated

SFT = """\
    ### model
    model_name_or_path: some/model
    trust_remote_code: true
    ### method
    stage: sft
    do_train: true
    finetuning_type: lora
    lora_rank: 4
    lora_target: q_proj,v_proj
    deepspeed: ds_z3.json
    ### dataset
    dataset: mine
    template: qwen
    cutoff_len: 512
    max_samples: 100
    ### train
    per_device_train_batch_size: 1
    gradient_accumulation_steps: 8
    learning_rate: 1.0e-4
    lr_scheduler_type: cosine
    warmup_ratio: 0.1
    bf16: true
    val_size: 0.2
    report_to: none
    unheard_of: 3
"""
MINE: dict[str, Any] = {
    "file_name": "mine.json",
    "columns": {"prompt": "ask", "query": "input", "response": "say", "tools": "tools"},
}


@pytest.fixture
def info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`info(mine={…})` writes a description of data sets into the working folder's `data/`."""
    monkeypatch.chdir(tmp_path)

    def write(**sets: Any) -> None:
        (tmp_path / "data").mkdir(exist_ok=True)
        text = json.dumps(sets, indent=2)
        (tmp_path / "data" / "dataset_info.json").write_text(text, encoding="utf-8")

    return write


def test_supervised_fine_tuning_is_carried_over(info: Any, tmp_path: Path) -> None:
    info(mine=MINE)
    migration = migrated(tmp_path, SFT)
    config = loaded(tmp_path, migration)
    assert migration.library == "LLaMA-Factory"
    task, training = config.task.model_dump(), config.training
    assert (task["type"], task["max_length"]) == ("generation", 512)
    strategy = config.strategy.model_dump()
    assert (strategy["type"], strategy["r"], strategy["lora_alpha"]) == ("lora", 4, 8)
    assert tuple(strategy["target_modules"]) == ("q_proj", "v_proj")
    assert config.data.train == "data/mine.json"
    assert config.data.columns == {"instruction": "ask", "output": "say"}
    assert config.data.max_train_examples == 100 and config.data.split.validation == 0.2
    assert (training.learning_rate, training.lr_scheduler_type) == (1e-4, "cosine")
    assert (training.precision, training.examples_per_step) == ("bf16", 8)


def test_its_defaults_are_written_down_where_ours_are_others(info: Any, tmp_path: Path) -> None:
    info(mine={"file_name": "mine.json"})
    short = "model_name_or_path: m\ndataset: mine\ntemplate: x\n"
    config = loaded(tmp_path, migrated(tmp_path, short))
    assert config.training.learning_rate == 5e-5 and config.training.num_train_epochs == 3
    assert config.training.per_device_train_batch_size == 8 and config.training.seed == 42
    strategy = config.strategy.model_dump()
    assert (strategy["r"], strategy["lora_alpha"]) == (8, 16)
    assert config.task.max_length == 2048


def test_what_is_left_is_told_with_its_line_and_the_reason(info: Any, tmp_path: Path) -> None:
    info(mine=MINE)
    migration = migrated(tmp_path, SFT)
    for key in ("trust_remote_code", "deepspeed", "template", "unheard_of", "mine.columns.tools"):
        one = found(migration, key)
        assert one.outcome == "left" and one.note and one.place is not None
        assert f"{key}:" in migration.text.partition("# Not carried over:")[2]
    assert str(found(migration, "deepspeed").place).endswith("theirs.yaml:10:1")
    assert found(migration, "report_to").outcome == "nothing"
    assert found(migration, "do_train").outcome == "nothing"
    written = " ".join(migration.text.replace("\n# ", " ").replace("\n  # ", " ").split())
    assert "lora_rank" in written and "theirs.yaml:8" in written


def test_every_key_is_accounted_for_once(info: Any, tmp_path: Path) -> None:
    info(mine=MINE)
    migration = migrated(tmp_path, SFT)
    keys = [line.partition(":")[0].strip() for line in SFT.splitlines() if "#" not in line]
    said = [one.key for one in migration.findings if not one.is_default]
    assert all(said.count(key) == 1 for key in keys)


@pytest.mark.parametrize(
    ("stage", "task"), [("dpo", "preference"), ("rm", "reward"), ("pt", "generation")]
)
def test_stages_are_tasks(stage: str, task: str, info: Any, tmp_path: Path) -> None:
    columns = {"prompt": "text"} if stage == "pt" else {"prompt": "ask", "chosen": "good"}
    info(mine={"file_name": "mine.json", "ranking": stage != "pt", "columns": columns})
    text = f"model_name_or_path: m\nstage: {stage}\ndataset: mine\npref_beta: 0.2\n"
    migration = migrated(tmp_path, text)
    config = loaded(tmp_path, migration)
    assert config.task.type == task
    if stage == "dpo":
        assert config.task.model_dump()["beta"] == 0.2
        assert config.data.columns == {"prompt": "ask", "chosen": "good"}
    else:
        assert found(migration, "pref_beta").note.endswith("has no such option")


def test_losses_and_thumbs_are_ours(info: Any, tmp_path: Path) -> None:
    info(mine={"file_name": "mine.json", "columns": {"prompt": "ask", "kto_tag": "liked"}})
    text = "model_name_or_path: m\ndataset: mine\n"
    config = loaded(tmp_path, migrated(tmp_path, f"{text}stage: kto\nkto_rejected_weight: 2.0\n"))
    task = config.task.model_dump()
    assert (task["type"], task["desirable_weight"], task["undesirable_weight"]) == ("kto", 1, 2)
    assert config.data.columns == {"prompt": "ask", "label": "liked"}
    text += "stage: dpo\npref_loss: simpo\nsimpo_gamma: 1.2\n"
    task = loaded(tmp_path, migrated(tmp_path, text)).task.model_dump()
    assert (task["loss"], task["simpo_gamma"], task["beta"]) == ("simpo", 1.2, 0.1)


@pytest.mark.parametrize("line", ["stage: ppo", "finetuning_type: oft",
                                  "stage: dpo\npref_loss: hinge"])  # fmt: skip
def test_what_there_is_nothing_like_is_refused_at_its_line(
    line: str, info: Any, tmp_path: Path
) -> None:
    info(mine=MINE)
    number = 3 + line.count("\n")
    with refused("migrate.kind_unsupported") as raised:
        migrated(tmp_path, f"model_name_or_path: m\ndataset: mine\n{line}\n")
    assert f"theirs.yaml:{number}:1" in str(raised.value.faults[0].place)


def test_data_that_cannot_be_found_are_told_and_may_be_named(tmp_path: Path, info: Any) -> None:
    text = "model_name_or_path: m\ndataset: mine,other\ntemplate: x\n"
    codes = [fault.code for fault in migrated(tmp_path, text).missing]
    assert codes == ["migrate.several_datasets", "migrate.dataset_info_missing"]
    info(other=MINE)
    codes = [fault.code for fault in migrated(tmp_path, text).missing]
    assert codes == ["migrate.several_datasets", "migrate.dataset_unknown"]
    migration = migrated(tmp_path, text, "data.train=joined.json")
    assert loaded(tmp_path, migration).data.train == "joined.json"


@pytest.mark.parametrize(
    ("entry", "train", "code"),
    [
        ({"hf_hub_url": "a/b", "subset": "c"}, "hub:a/b", None),
        ({"script_url": "s"}, None, "migrate.dataset_unsupported"),
        ({"ms_hub_url": "a/b"}, None, "migrate.dataset_unsupported"),
        ({"file_name": "f.json", "formatting": "sharegpt",
          "columns": {"messages": "talk"}}, "data/f.json", None),
        ({"file_name": "f.json", "tags": {"role_tag": "speaker"}}, "data/f.json",
         "migrate.turns_named_otherwise"),
        ({"file_name": "f.json", "tags": {"user_tag": "me"}}, "data/f.json",
         "migrate.speaker_named_otherwise"),
    ],
)  # fmt: skip
def test_data_sets_are_found_where_their_description_says(
    entry: dict[str, Any], train: str | None, code: str | None, info: Any, tmp_path: Path
) -> None:
    info(mine=entry)
    migration = migrated(tmp_path, "model_name_or_path: m\ndataset: mine\ntemplate: x\n")
    assert [fault.code for fault in migration.missing] == ([code] if code else [])
    assert migration.values.get("data", {}).get("train") == train
    if "columns" in entry:
        assert migration.values["data"]["columns"] == {"messages": "talk"}


def test_a_secret_is_not_written_down(info: Any, tmp_path: Path) -> None:
    info(mine=MINE)
    migration = migrated(
        tmp_path, SFT + "    swanlab_api_key: abcdefghijk\n    hub_token: xyz12345\n"
    )
    assert "abcdefghijk" not in migration.text and "xyz12345" not in migration.text


def test_json_is_read_as_well(info: Any, tmp_path: Path) -> None:
    info(mine=MINE)
    text = json.dumps({"model_name_or_path": "m", "dataset": "mine", "cutoff_len": 64}, indent=4)
    assert loaded(tmp_path, migrated(tmp_path, text)).task.max_length == 64


def test_the_demo_data_of_the_library_are_read_after_migration(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The columns that its description names are those that our reader then finds."""
    from welltuned.data.load_splits import collect
    from welltuned.errors import Faults

    demo = shared / "data" / "llamafactory_demo"
    if not (demo / "alpaca_en_demo.json").is_file():
        pytest.skip("its demo data are not there")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "alpaca.json").symlink_to(demo / "alpaca_en_demo.json")
    columns = {"prompt": "instruction", "query": "input", "response": "output"}
    text = json.dumps({"demo": {"file_name": "alpaca.json", "columns": columns}})
    (tmp_path / "data" / "dataset_info.json").write_text(text, encoding="utf-8")
    config = loaded(
        tmp_path, migrated(tmp_path, "model_name_or_path: m\ndataset: demo\nstage: sft\n")
    )
    faults = Faults()
    splits = collect(config.data, config.task.roles, faults, config.task.convert)
    assert list(faults) == [] and splits is not None and len(splits.train) > 500
