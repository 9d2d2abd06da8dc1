"""The language of texts, as far as choosing a base model needs it: English, Chinese, or another.

By script first: Han letters without kana are Chinese. Latin letters are told apart by the commonest
function words, as in Grefenstette (1995), "Comparing two language identification schemes".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Language = Literal["en", "zh", "other"]

_TEXTS, _CHARACTERS = 1000, 400
"""How many texts are looked at, and how much of each."""
_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3041-\u30ff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_WORD = re.compile(r"[^\W\d_]+")
_HAN_SHARE = 0.3
"""Of all letters: Chinese texts quote Latin names, of which each has many letters."""
_KANA_SHARE = 0.05
"""Of all letters: with more the Han letters are Japanese."""
_FOREIGN_SHARE = 0.01
"""Of Latin letters: with more that are not ASCII, texts without function words are not English."""
_ENGLISH = "the and of to is that this with for are was it not have you but they"
_OTHERS = (
    "der die und das ist nicht ein eine mit ich zu auf den es sie",
    "le la les et des est une pas que pour dans je un du ce",
    "el la los y que de en es una por no con para se",
    "il di che la non per è un sono una del con ma si",
    "o que de não uma para com um do da é os se",
    "de het een en van is dat niet ik op voor met zijn",
    "och det att som en är inte jag på för",
    "og det er ikke en at jeg på til af",
    "nie się na i w z do to jest że",
    "je se na v to že ne si jsem",
    "bir ve bu çok için da de ne gibi",
    "yang dan di ini itu dengan untuk tidak",
    "và là của có không được cho một",
    "ja on ei se että oli mutta niin",
    "az és nem hogy egy is meg van",
    "și nu este de la cu pe care un",
)
"""German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish and Norwegian, Polish,
Czech, Turkish, Indonesian, Vietnamese, Finnish, Hungarian, Romanian."""


def main_language(texts: Sequence[str]) -> Language:
    """What most of these texts are written in, by a sample of the first ones.

    >>> main_language(["The room was clean, but the street is loud."])
    'en'
    >>> main_language(["房间很干净，但是很吵。"]), main_language(["Das Zimmer ist sauber."])
    ('zh', 'other')
    """
    sample = "\n".join(text[:_CHARACTERS] for text in texts[:_TEXTS])
    letters = sum(map(str.isalpha, sample))
    if len(_HAN.findall(sample)) > _HAN_SHARE * letters:
        return "other" if len(_KANA.findall(sample)) > _KANA_SHARE * letters else "zh"
    latin = _LATIN.findall(sample)
    if 2 * len(latin) < letters or not latin:
        return "other"
    return "en" if _is_english(sample, latin) else "other"


def _is_english(sample: str, latin: Sequence[str]) -> bool:
    """Whether English function words are the most frequent ones of a text in Latin letters.

    Where there are none of any language, as in names and headlines, plain ASCII counts as English.
    """
    counted = Counter(_WORD.findall(sample.lower()))
    english, *others = (
        sum(counted[word] for word in words.split()) for words in (_ENGLISH, *_OTHERS)
    )
    if english or any(others):
        return english >= max(others)
    return sum(not letter.isascii() for letter in latin) <= _FOREIGN_SHARE * len(latin)
