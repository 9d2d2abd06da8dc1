"""Token classification: tags, labels of tokens, the loss as (sum, count), scores, answers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from faults import full, noted, refused
from sentences import make_sentences
from support import make_config, make_tokenizer
from welltuned.config import RunConfig, read_run_config
from welltuned.data.facts import DataFacts
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED
from welltuned.errors import Faults
from welltuned.metrics.intervals import interval_at_bound
from welltuned.schema.document import Document
from welltuned.schema.validation import validate
from welltuned.tasks import Classification, TokenClassification
from welltuned.tasks.token_classification import TokenClassificationProblem

TAGS = ("O", "B-GOOD", "I-GOOD", "B-BAD", "I-BAD")
PROBLEM = TokenClassificationProblem(TAGS, entities=True)
PLAIN = TokenClassificationProblem(("ADJ", "NOUN"), entities=False)


def records(*sentences: tuple[str, str], source: str = "train.conll") -> Records:
    """Records of sentences given as (words, tags), each as text."""
    words, tags = ([text.split() for text in column] for column in zip(*sentences, strict=True))
    lines = [10 * i + 1 for i in range(len(sentences))]
    return Records(source, {"words": words, "tags": tags}, lines, ("words",))


def bind(train: Records, test: Records | None = None, **task: Any) -> Any:
    """(problem or None, faults, facts)."""
    faults, facts = Faults(), DataFacts()
    data = DataSplits(train, train, test or train, facts)
    problem = TokenClassification(**task).bind(data, 0.0, faults)
    return problem, full(faults), facts


class Echo(nn.Module):
    """Answers with given logits."""

    def __init__(self, logits_BTC: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits_BTC

    def forward(self, **inputs: Any) -> Any:
        assert set(inputs) <= {"input_ids", "attention_mask", "token_type_ids"}
        return SimpleNamespace(logits=self.logits)


def batch_of(problem: Any, sentences: Records, seed: int = 0, **options: Any) -> Any:
    """(examples, batch as tensors, random logits for it)."""
    examples = problem.codec.encode(make_tokenizer("encoder", "bert"), sentences, 16, **options)
    batch = problem.codec.collate(examples, list(range(len(sentences))), 0)
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    generator = torch.Generator().manual_seed(seed)
    shape = (*tensors["input_ids"].shape, len(problem.tags))
    return examples, tensors, torch.randn(shape, generator=generator)


# --- Tags ---------------------------------------------------------------------


def test_tags_are_completed_so_that_a_rare_one_is_known() -> None:
    train = records(("a b c", "B-X O I-Y"), ("d", "O"))
    problem, faults, facts = bind(train, records(("a b", "B-Y I-X"), ("c", "B-X")))
    assert not faults
    assert problem.tags == ("O", "B-X", "I-X", "B-Y", "I-Y")
    assert facts.task["counts"]["train"] == {"O": 2, "B-X": 1, "I-X": 0, "B-Y": 0, "I-Y": 1}
    assert facts.task["entities"]["test"] == {"Y": 1, "X": 2}
    assert "task.tags_added tags=I-X, B-Y" in noted(facts.notes)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("S-X O B-Y I-Y E-Y", ("O", *(f"{p}-{t}" for t in "XY" for p in "BIES"))),
        ("U-X O L-X", ("O", "L-X", "U-X")),
        ("B I O", ("O", "B", "I")),
        ("I-X O", ("O", "B-X", "I-X")),
        ("NOUN VERB ADJ", ("ADJ", "NOUN", "VERB")),
        ("10 9 x", ("9", "10", "x")),
        ("O B-X ODD", ("O", "ODD", "B-X", "I-X")),
    ],
)
def test_every_scheme_gives_its_tags_in_order(tags: str, expected: tuple[str, ...]) -> None:
    problem, faults, _ = bind(records((tags, tags)))
    assert not faults and problem.tags == expected


def test_tags_that_mark_no_entities_are_told_and_scored_word_by_word() -> None:
    problem, _, facts = bind(records(("a b", "NOUN VERB")))
    assert problem.scorer.default_metric == "accuracy" and problem.scorer.metric_names == (
        "accuracy",
        "macro_f1",
    )
    assert noted(facts.notes) == ["task.tags_without_entities tags=NOUN, VERB"]


def test_odd_tags_and_types_missing_in_a_split_are_told() -> None:
    _, _, facts = bind(records(("a b c", "B-X ODD O")), records(("a", "O")))
    assert "task.tags_without_prefix tags=ODD" in noted(facts.notes)
    assert "task.entities_absent split=test types=X" in noted(facts.notes)


def test_faults_of_sentences_are_shown_with_place_and_remedy() -> None:
    train = records(("a b", "B-X O"), ("a b c", "B-X O"))
    _, faults, _ = bind(train, records(("a b", "O B-Z"), ("c", "O"), source="test.conll"))
    assert "train.conll:11 task.tags_and_words_differ words=3 tags=2" in faults
    assert "test.conll:1 task.tag_unseen position=2 word=b tag=B-Z known=O, B-X, I-X" in faults


def test_a_missing_tag_is_a_fault() -> None:
    train = records(("a b", "B-X O"))
    train.columns["tags"][0][1] = ""
    _, faults, _ = bind(train)
    assert "train.conll:1 task.tag_missing position=2 word=b known=O, B-X, I-X" in faults


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (("a b", "O O"), "task.too_few_tags only=only one tag, 'O'"),
        (("a b", ""), "task.too_few_tags only=no tag at all"),
        (
            (" ".join(["w"] * 1001), " ".join(map(str, range(1001)))),
            "task.too_many_tags tags=1001 words=1001",
        ),
    ],
)
def test_tags_that_cannot_be_learned_are_refused(sentence: Any, message: str) -> None:
    problem, faults, _ = bind(records(sentence))
    assert problem is None and any(message in fault for fault in faults)


# --- Config -------------------------------------------------------------------


def config_of(**values: Any) -> Any:
    faults = Faults()
    config = validate(RunConfig, Document({"model": "m", "data": "d", **values}), faults)
    return config, full(faults)


def test_a_task_is_named_in_short_or_in_full() -> None:
    for task in ("token_classification", {"type": "token_classification"}):
        assert config_of(task=task)[0].task == TokenClassification()
    assert config_of(task={"max_length": 99})[0].task == Classification(max_length=99)
    assert config_of()[0].task == Classification()
    overrides = ["model=m", "data=d", "task=token_classification", "task.max_length=99"]
    config, _ = read_run_config(None, overrides, Faults())
    assert config is not None and config.task == TokenClassification(max_length=99)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            {"type": "token_classification", "max_lenght": 9},
            "config.key_unknown key=task.max_lenght",
        ),
        ({"max_lenght": 9}, "config.key_unknown key=task.max_lenght"),
        ("token_clasification", "config.type_unknown key=task given=token_clasification"),
        ({"type": "token_classification", "max_length": 3}, "task.max_length_too_small"),
        (
            {"type": "token_classification", "pooling": "mean"},
            "config.choice_unknown key=task.pooling given='mean'",
        ),
    ],
)
def test_faults_of_the_config_name_the_right_key(task: Any, message: str) -> None:
    config, faults = config_of(task=task)
    assert config is None and message in " ".join(faults)


# --- Encoding -----------------------------------------------------------------

PIECES = records(("the good-film was", "O B-GOOD O"), ("it", "B-BAD"))
"""The second word has three pieces."""


def test_the_first_piece_of_a_word_carries_its_tag() -> None:
    examples, batch, _ = batch_of(PROBLEM, PIECES)
    no = IGNORED
    assert batch["labels"].tolist() == [[no, 0, 1, no, no, 0, no], [no, 3, no, no, no, no, no]]
    assert batch["first_tokens"].tolist() == [[1, 2, 5], [1, -1, -1]]
    assert [target.tolist() for target in examples.targets] == [[0, 1, 0], [3]]
    assert PROBLEM.objective.count(batch) == 4


def test_all_pieces_may_carry_it_and_an_entity_goes_on() -> None:
    problem = TokenClassificationProblem(TAGS, True, label_all_pieces=True)
    _, batch, _ = batch_of(problem, PIECES)
    assert batch["labels"][0].tolist() == [IGNORED, 0, 1, 2, 2, 0, IGNORED]
    assert problem.objective.count(batch) == 6


def test_without_tags_there_are_no_labels() -> None:
    asked = PROBLEM.codec.records_of(["the good-film was", ["it is", "so"], ("a b", "c")])
    assert asked["words"] == [["the", "good-film", "was"], ["it is", "so"], ["a b", "c"]]
    examples, batch, _ = batch_of(PROBLEM, asked)
    assert examples.targets is None and "labels" not in batch
    assert batch["first_tokens"].tolist() == [[1, 2, 5], [1, 3, -1], [1, 3, -1]]


def test_the_width_is_that_of_the_whole_split() -> None:
    examples = PROBLEM.codec.encode(make_tokenizer("encoder", "bert"), PIECES, 16)
    assert PROBLEM.codec.collate(examples, [1], 0)["first_tokens"].shape == (1, 3)


# --- Loss ---------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_sum_over_count_is_torchs_mean_loss(smoothing: float) -> None:
    problem = TokenClassificationProblem(TAGS, True, label_smoothing=smoothing)
    _, batch, logits = batch_of(problem, PIECES)
    mean = nn.CrossEntropyLoss(label_smoothing=smoothing)
    expected = mean(logits.flatten(0, 1), batch["labels"].flatten())
    found = problem.objective.loss(Echo(logits), batch) / problem.objective.count(batch)
    torch.testing.assert_close(found, expected)


def test_half_precision_is_summed_in_float32() -> None:
    _, batch, logits = batch_of(PROBLEM, PIECES)
    assert PROBLEM.objective.loss(Echo(logits.bfloat16()), batch).dtype == torch.float32


# --- Scores and answers -------------------------------------------------------


def test_outputs_are_log_probabilities_of_words() -> None:
    _, batch, logits = batch_of(PROBLEM, PIECES)
    outputs = PROBLEM.objective.outputs(Echo(logits), batch)
    expected = logits.log_softmax(-1)
    torch.testing.assert_close(outputs[0], expected[0, [1, 2, 5]])
    torch.testing.assert_close(outputs[1, 0], expected[1, 1])
    assert not outputs[1, 1:].any()


def perfect(problem: Any, sentences: Records, max_length: int) -> Any:
    """(examples, outputs of a model that knows every tag it is asked for)."""
    examples = problem.codec.encode(make_tokenizer("encoder", "bert"), sentences, max_length)
    batch = problem.codec.collate(examples, list(range(len(sentences))), 0)
    labels = torch.from_numpy(batch["labels"]).clamp(min=0)
    logits = 9.0 * nn.functional.one_hot(labels, len(problem.tags))
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    return examples, problem.objective.outputs(Echo(logits), tensors).numpy()


LONG = records(("the good film was so bad", "O B-GOOD O O O B-BAD"), ("it was bad", "O O B-BAD"))


def test_words_that_were_cut_off_score_as_missed_and_are_counted() -> None:
    examples, outputs = perfect(PROBLEM, LONG, 16)
    scores = PROBLEM.scorer.score(outputs, examples.targets)
    assert scores["entity_f1"] == scores["accuracy"] == 1.0
    assert not PROBLEM.codec.notes(examples, "test")
    examples, outputs = perfect(PROBLEM, LONG, 5)
    scores = PROBLEM.scorer.score(outputs, examples.targets)
    assert scores["entity_recall"] == 2 / 3 and scores["entity_precision"] == 1.0
    assert scores["accuracy"] == 6 / 9
    (note,) = PROBLEM.codec.notes(examples, "test")
    assert note["code"] == "task.words_without_token"
    assert (note["values"]["unseen"], note["values"]["total"]) == (3, 9)
    (row, _) = PROBLEM.presenter.answers(outputs, LONG)
    assert row["prediction"] == ["O", "B-GOOD", "O", None, None, None]
    assert row["confidences"][3:] == [None] * 3


def test_answers_hold_words_tags_and_entities() -> None:
    _, outputs = perfect(PROBLEM, LONG, 16)
    first, second = PROBLEM.presenter.answers(outputs, LONG)
    assert first["words"] == LONG["words"][0] and first["prediction"] == LONG["tags"][0]
    assert first["entities"] == [
        {"type": "GOOD", "start": 1, "stop": 2, "text": "good"},
        {"type": "BAD", "start": 5, "stop": 6, "text": "bad"},
    ]
    assert len(second["prediction"]) == len(second["confidences"]) == 3
    assert all(sure is not None and 0.99 < sure < 1 for sure in second["confidences"])
    assert [row["prediction"] for row in PROBLEM.presenter.describe(outputs)] == LONG["tags"]


def test_plain_tags_are_scored_and_answered_without_entities() -> None:
    sentences = records(("good film", "ADJ NOUN"), ("film", "NOUN"))
    examples, outputs = perfect(PLAIN, sentences, 16)
    scores = PLAIN.scorer.score(outputs, examples.targets, intervals=True)
    assert scores["accuracy"] == 1.0 and scores["accuracy_ci95"] == interval_at_bound(1.0, 2)
    assert set(scores["per_class"]) == {"ADJ", "NOUN"}
    assert "entities" not in PLAIN.presenter.answers(outputs, sentences)[0]


def test_the_baseline_says_the_most_frequent_tag() -> None:
    targets = PROBLEM.codec.read_targets(LONG, Faults())
    scores = PROBLEM.scorer.majority(targets, targets)
    assert scores["entity_f1"] == 0.0 and scores["accuracy"] == 6 / 9


def test_every_model_class_is_transformers_own(tiny: Any) -> None:
    from welltuned.models.anatomy import examine_anatomy
    from welltuned.models.loading import build_skeleton

    for family in ("bert", "roberta", "modernbert", "deberta-v2", "gpt2", "llama"):
        base = make_config(family)
        base.pad_token_id = 0
        head = PROBLEM.objective.head(base, "model")
        skeleton = build_skeleton(head)
        assert type(skeleton).__name__.endswith("ForTokenClassification")
        assert head.config.id2label == dict(enumerate(TAGS)) and head.config.num_labels == 5
        assert examine_anatomy(skeleton).head in (
            ("classifier",),
            ("score",),
            ("head", "classifier"),
        )


def test_a_family_without_a_head_for_tokens_is_refused() -> None:
    from transformers import OPTConfig

    with refused("task.token_classification_unsupported", family="opt"):
        PROBLEM.objective.head(OPTConfig(), "model")


def test_what_an_artifact_remembers_is_enough() -> None:
    problem = TokenClassificationProblem(TAGS, True, label_all_pieces=True)
    memory = json.loads(json.dumps(problem.to_dict()))
    assert TokenClassification.restore(memory) == problem


def test_records_are_shown_as_text_and_with_tags() -> None:
    assert PROBLEM.presenter.shown(LONG, 1) == {"text": "it was bad"}
    assert PROBLEM.presenter.lines(LONG, 1) == ["it was bad/B-BAD"]


def test_the_sentences_of_these_tests_follow_their_rule() -> None:
    sentences = make_sentences(50)
    assert len({" ".join(words) for words, _ in sentences}) == 50
    assert all(len(words) == len(tags) for words, tags in sentences)
    assert {tag for _, tags in sentences for tag in tags} == set(TAGS)


def test_the_example_config_is_valid() -> None:
    file = Path(__file__).resolve().parents[3] / "examples" / "entities.yaml"
    config, _ = read_run_config(file, [], faults := Faults())
    assert not list(map(str, faults))
    assert config is not None and isinstance(config.task, TokenClassification)
