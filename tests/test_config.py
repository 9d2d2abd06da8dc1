"""A whole run's config: what is refused, with file, line, column and remedy."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from faults import brief, codes, full
from support import make_rows, write_rows
from welltuned.config import RunConfig, read_run_config, run_config_from
from welltuned.errors import Fault, Faults, InputError
from welltuned.strategies import Full, Lora
from welltuned.tasks import Classification
from welltuned.training.output_folder import prepare_in_folder
from welltuned.training.preparation.load_config import load_config
from welltuned.training.preparation.prepare import prepare

GOOD = "model: some-model\ndata: train.csv\n"


def read(tmp_path: Path, text: str, *overrides: str) -> tuple[RunConfig | None, list[Fault]]:
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    faults = Faults()
    config, _ = read_run_config(file, overrides, faults)
    return config, list(faults)


def refused(values: dict[str, Any]) -> list[str]:
    """The faults that stop a run before a weight is loaded."""
    with pytest.raises(InputError) as raised:
        prepare_in_folder(run_config_from(values))
    assert raised.value.exit_status == 2
    return full(raised.value.faults)


def test_a_model_and_data_are_enough(tmp_path: Path) -> None:
    config, faults = read(tmp_path, GOOD)
    assert faults == []
    assert config is not None
    assert (config.model.name, config.data.train) == ("some-model", "train.csv")
    assert isinstance(config.strategy, Full)


def test_a_config_may_come_from_arguments_alone() -> None:
    faults = Faults()
    config, _ = read_run_config(None, ["model=m", "data=d.csv", "strategy.type=lora"], faults)
    assert list(faults) == []
    assert config is not None and isinstance(config.strategy, Lora)


def test_a_strategy_given_by_its_name_alone_can_be_refined(tmp_path: Path) -> None:
    config, faults = read(tmp_path, GOOD + "strategy: lora\n", "strategy.r=32")
    assert faults == []
    assert config is not None and config.strategy == Lora(r=32)


def test_auto_may_be_written_out_wherever_it_is_the_default(tmp_path: Path) -> None:
    names = ["learning_rate", "num_train_epochs", "warmup_ratio", "weight_decay"]
    asked = [f"training.{name}=auto" for name in names]
    asked += ["strategy=full", "strategy.head_learning_rate_scale=auto", "task.max_length=auto"]
    config, faults = read(tmp_path, GOOD, *asked)
    plain, _ = read(tmp_path, GOOD)
    assert faults == []
    assert config == plain


def test_a_resolved_config_reads_back_as_itself(tmp_path: Path) -> None:
    config, _ = read(tmp_path, GOOD, "strategy={type: lora, r: 4}", "training.learning_rate=1e-3")
    assert config is not None
    again, faults = read(tmp_path, yaml.safe_dump(config.model_dump()))
    assert faults == []
    assert again == config


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("stratgy: lora", "3:1 config.key_unknown"),
        ("training: {learning_rat: 1}", "3:12 config.key_unknown"),
        ("strategy: {type: partial, num_block: 8}", "3:27 config.key_unknown"),
        ("strategy: lroa", "3:1 config.type_unknown"),
        ("training: {learning_rate: 0}", "3:12 config.value_invalid"),
        ("training: {learning_rate: -1e-5}", "3:12 config.value_invalid"),
        ("training: {learning_rate: .inf}", "3:12 config.value_invalid"),
        ("training: {num_train_epochs: 0}", "3:12 config.value_invalid"),
        ("training: {warmup_ratio: 1}", "3:12 config.value_invalid"),
        ("training: {weight_decay: -1}", "3:12 config.value_invalid"),
        ("training: {label_smoothing_factor: 1}", "3:12 config.value_invalid"),
        ("training: {per_device_train_batch_size: 0}", "3:12 config.value_invalid"),
        ("training: {seed: -1}", "3:12 config.value_invalid"),
        ("training: {precision: fp8}", "3:12 config.choice_unknown"),
        ("training: {eval_steps: 5}", "3:1 training.eval_steps_without_strategy"),
        ("training: {eval_strategy: steps}", "3:1 training.eval_steps_without_strategy"),
        ("training: {max_steps: 5, num_train_epochs: 1}", "3:1 training.max_steps_and_epochs"),
        (
            "training: {eval_strategy: no, early_stopping_patience: 2}",
            "3:1 training.early_stopping_without_evaluation",
        ),
        ("task: {class_weights: auto, problem: regression}", "3:1 task.class_weights_unsupported"),
        ("task: {thresholds: f1, problem: single_label}", "3:1 task.thresholds_of_one_label"),
        ("task: {thresholds: costs}", "3:1 task.thresholds_without_costs"),
        ("task: {thresholds: f1, problem: regression}", "3:1 task.labels_required"),
        ("task: {type: generation, thresholds: f1}", "3:26 config.key_unknown"),
        ("task: {costs: {a: {b: 5}}, problem: regression}", "3:1 task.labels_required"),
        (
            "task: {abstain_below: 0.7, problem: multi_label}",
            "3:1 task.abstain_below_unsupported",
        ),
        ("task: {abstain_below: 1}", "3:8 config.value_invalid"),
        ("task: {focal_gamma: -1}", "3:8 config.value_invalid"),
        ("task: {max_length: 3}", "3:1 task.max_length_too_small"),
        ("task: {pooling: frist}", "3:8 config.choice_unknown"),
        ("engine: torhc", "3:1 config.choice_unknown"),
    ],
)
def test_a_faulty_line_is_refused_with_its_place_and_a_remedy(
    tmp_path: Path, line: str, told: str
) -> None:
    config, faults = read(tmp_path, GOOD + line + "\n")
    assert config is None
    assert brief(faults) == [f"c.yaml:{told}"]
    assert faults[0].remedy


@pytest.mark.parametrize(
    ("shares", "works"),
    [("0.5, test: 0.4", True), ("0.5, test: 0.5", False), ("0, test: 1", False)],
)
def test_something_must_be_left_to_train_on(tmp_path: Path, shares: str, works: bool) -> None:
    data = f"data: {{train: a.csv, split: {{validation: {shares}}}}}"
    config, faults = read(tmp_path, f"model: m\n{data}\n")
    assert (config is not None) == works
    assert bool(faults) != works


def test_label_names_may_have_numbers_as_keys(tmp_path: Path) -> None:
    config, faults = read(tmp_path, GOOD + "task: {label_names: {0: bad, 1: good}}\n")
    assert faults == []
    assert config is not None and isinstance(config.task, Classification)
    assert config.task.label_names == {"0": "bad", "1": "good"}


def test_costs_may_have_numbers_as_keys(tmp_path: Path) -> None:
    config, faults = read(tmp_path, GOOD + "task: {costs: {0: {1: 20}}}\n")
    assert faults == []
    assert config is not None and isinstance(config.task, Classification)
    assert config.task.costs == {"0": {"1": 20}}


def test_a_missing_config_file_is_refused_without_further_noise() -> None:
    faults = Faults()
    config, _ = read_run_config("nowhere.yaml", [], faults)
    assert config is None
    assert codes(faults) == ["config.file_missing"]


def test_keywords_are_checked_like_a_file() -> None:
    with pytest.raises(InputError) as raised:
        run_config_from({"model": "m", "data": "d.csv", "strategi": "lora"})
    assert codes(raised.value.faults) == ["config.key_unknown"]


def test_faults_of_config_and_data_show_together(tmp_path: Path) -> None:
    data = tmp_path / "d.jsonl"
    data.write_text('{"text": "a", "label": "b"}\n{broken\n')
    config = tmp_path / "c.yaml"
    config.write_text(f"model: m\ndata: {data}\nstrategy: {{type: lora, r: 0}}\n")
    with pytest.raises(InputError) as raised:
        load_config(str(config), [])
    assert brief(raised.value.faults) == [
        "c.yaml:3:24 config.value_invalid",
        "d.jsonl:2:2 data.bad_json",
    ]


# --- What the machine refuses -------------------------------------------------


@pytest.fixture
def values(tiny: Any, tmp_path: Path) -> dict[str, Any]:
    data = write_rows(tmp_path / "d.jsonl", make_rows(60))
    return {"model": tiny("bert"), "data": data, "output_dir": str(tmp_path / "out" / "run")}


def test_preparing_writes_nothing(values: dict[str, Any], tmp_path: Path) -> None:
    prepared = prepare_in_folder(run_config_from(values))
    assert prepared.config.output_dir == str(tmp_path / "out" / "run")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_never_overwritten(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out" / "run").mkdir(parents=True)
    (tmp_path / "out" / "run" / "mine.txt").write_text("precious")
    told = refused(values)
    assert told == ["run run.folder_in_use"]


def test_whoever_wants_no_folder_may_prepare_beside_one_in_use(
    values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "out" / "run").mkdir(parents=True)
    (tmp_path / "out" / "run" / "mine.txt").write_text("precious")
    assert len(prepare(run_config_from(values)).examples["train"]) == 48


def test_a_file_in_the_folders_place_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run").write_text("a file")
    assert refused(values) == ["run run.folder_in_use"]


def test_a_folder_without_write_permission_is_refused(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    assert refused(values) == [f"{tmp_path.name} run.folder_not_writable"]


@pytest.mark.parametrize(("free", "fits"), [(10_000, False), (10**10, True)])
def test_a_disk_too_small_is_refused_with_numbers(
    values: dict[str, Any], free: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=10**12, used=10**12 - free, free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    if fits:
        plan = prepare_in_folder(run_config_from(values))
        assert plan.config.output_dir == values["output_dir"]
    else:
        (told,) = refused(values)
        assert told.endswith(" run.disk_too_small free=10.0 kB needed=404.0 kB")


def test_a_text_longer_than_the_model_takes_cannot_be_asked_for(values: dict[str, Any]) -> None:
    (told,) = refused({**values, "task": {"max_length": 65}})
    assert told == "task.max_length_too_large max_length=65 room=64 note="
    assert prepare(run_config_from({**values, "task": {"max_length": 64}})).max_length == 64


def test_a_model_that_is_no_folder_with_a_config_is_refused(
    values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    told = refused({**values, "model": str(tmp_path / "empty")})
    assert told[0].startswith("model.config_missing ")


def test_faults_of_data_model_and_machine_show_together(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    one_class = [{"text": f"text {i}", "label": "only"} for i in range(50)]
    data = write_rows(tmp_path / "one.jsonl", one_class)
    told = " ".join(refused({**values, "model": str(tmp_path / "empty"), "data": data}))
    for code in ("task.too_few_classes", "model.config_missing", "run.folder_not_writable"):
        assert f"{code} " in f"{told} "


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"protection": {"type": "l2sp", "alfa": 1}}, "key_unknown key=protection.0.alfa"),
        ({"protection": ["ewc", "l3sp"]}, "type_unknown key=protection.1 given=l3sp"),
        ({"protection": {"type": "ewc", "lambda": -1}}, "value_invalid key=protection.0.lambda"),
        ({"protection": {"type": "ewc", "lambd": 1}}, "key_unknown key=protection.0.lambd"),
        ({"evaluation": {"retention": [{"dat": "x"}]}}, "key_unknown key=evaluation.retention.0"),
        ({"evaluation": {"retention": 3}}, "value_invalid key=evaluation.retention given=3"),
    ],
)
def test_what_is_wrong_in_a_list_is_told_by_its_place(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        run_config_from({"model": "m", "data": "d", **given})
    assert any(told in fault for fault in full(error.value.faults))


def test_protections_are_written_as_one_wishes_and_read_again() -> None:
    common = {"model": "m", "data": "d"}
    written: list[Any] = ["l2sp", {"type": "l2sp"}, ["l2sp"], [{"type": "l2sp", "alpha": 0.1}]]
    read = [run_config_from({**common, "protection": one}) for one in written]
    assert len({str(config.protection) for config in read}) == 1
    assert run_config_from({**common, "protection": "none"}).protection == ()
    ewc = run_config_from({**common, "protection": {"type": "ewc", "lambda": 2}})
    dumped = ewc.model_dump(mode="json")
    assert dumped["protection"][0]["lambda"] == 2
    assert run_config_from(dumped).protection == ewc.protection


def test_a_bare_protection_takes_keys_from_the_command_line() -> None:
    faults = Faults()
    config, _ = read_run_config(
        None, ["model=m", "data=d", "protection=l2sp", "protection.alpha=3"], faults
    )
    assert config is not None and not list(faults)
    assert config.protection[0].model_dump() == {"type": "l2sp", "alpha": 3.0}


def test_data_of_several_folds_are_looked_at_beside_another_fault(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(20))
    with pytest.raises(InputError) as raised:
        load_config(None, [f"data.train={file}", "data.folds=5", "model=m", "sead=1"])
    assert codes(raised.value.faults) == ["config.key_unknown"]
