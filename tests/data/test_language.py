"""English, Chinese, or another language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import welltuned
from welltuned.data.language import main_language

DEMO = Path(welltuned.__file__).parent / "data" / "demo"


@pytest.mark.parametrize(
    ("name", "language"),
    [("sentiment_en", "en"), ("topics_en", "en"), ("sentiment_zh", "zh"), ("topics_zh", "zh")],
)
def test_the_embedded_texts_are_told_apart(name: str, language: str) -> None:
    lines = (DEMO / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert main_language(texts) == language
    parts = [texts[i : i + 20] for i in range(0, len(texts), 20)]
    assert set(map(main_language, parts)) == {language}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Apple unveils new phone", "en"),
        ("Was the film any good? I did not like it at all.", "en"),
        ("Das Hotel war nicht gut, aber der Preis ist in Ordnung und die Lage auch.", "other"),
        ("Het hotel was niet goed, maar de prijs is prima en dat is fijn.", "other"),
        ("Le film est trop long et je ne le recommande pas.", "other"),
        ("La habitación era pequeña y la comida no es buena.", "other"),
        ("Hotellet var ikke godt, og det er for dyrt.", "other"),
        ("Obsługa nie była miła, to jest za drogie.", "other"),
        ("Größte Überraschung", "other"),
        ("Номер был чистым", "other"),
        ("방이 매우 깨끗했어요", "other"),
        ("とても良い映画でした", "other"),
        ("今日の天気予報", "other"),
        ("iPhone 的屏幕很好，拍照也很清楚", "zh"),
        ("", "other"),
        ("123 !?", "other"),
    ],
)
def test_one_text_is_told_by_its_script_and_function_words(text: str, language: str) -> None:
    assert main_language([text]) == language


def test_the_most_of_mixed_texts_decide() -> None:
    english, german = "the film is good and it was short", "der Film ist gut und nicht lang"
    assert main_language([english] * 9 + [german]) == "en"
    assert main_language([german] * 9 + [english]) == "other"
