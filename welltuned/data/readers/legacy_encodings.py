"""Recognising encodings older than Unicode, by how likely each makes the words of a file.

A naive Bayes classifier over characters: every candidate decodes the words that are not ASCII, and
each character counts by its rank among those that people write in that encoding's languages
(Zipf: the r-th is 1/r as frequent as the first). What hardly occurs within a word, such as letters
of two scripts, counts against a candidate. After Li & Momoi, "A composite approach to
language/encoding detection" (19th International Unicode Conference, 2001).
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

_WORD = re.compile(rb"[^\x00-\x20,\"']*[\x80-\xff][^\x00-\x20,\"']*")  # none is half a character
_MOST_WORDS = 2000
_LONGEST_WORD = 2000
"""How many characters of a word are looked at; a file without white space is one word."""
_UNLIKELY = -7.0
"""The log-probability of what hardly occurs within a word."""
_MARKS = (
    "\u2019\u201c\u201d\u2013\u2026\u2014\u2018\u20ac\xab\xbb\xb0\xa3\xa0\xa7\xa9\xae\u2022\xbf\xa1\xbd\xb2"
    "\xb4\xd7"
)
"""Quotation marks, dashes and signs that people write in every Latin script."""
_WIDE = "，。、！？：；（）“”《》「」…—～"


@dataclass(frozen=True)
class Encoding:
    """A candidate, and the characters that its languages write, the most frequent first."""

    name: str
    characters: str
    covers: float
    """Which share of what people write, besides ASCII, those are."""
    others: int
    """How many other characters the encoding has."""
    prior: float = 0.0
    """The log of how much more frequent its files are than those of others."""

    @cached_property
    def _chances(self) -> dict[str, float]:
        whole = sum(1 / rank for rank in range(1, len(self.characters) + 1))
        return {
            character: math.log(self.covers / whole / rank)
            for rank, character in reversed(list(enumerate(self.characters, 1)))
        }

    def decode(self, raw: bytes) -> str | None:
        """The text; None where bytes mean nothing in this encoding."""
        try:
            return raw.decode(self.name)
        except UnicodeDecodeError:
            return None

    def score(self, word: bytes) -> float | None:
        """The log-probability of a word; None where it cannot be decoded."""
        text = self.decode(word)
        if text is None:
            return None
        text = text[:_LONGEST_WORD]
        rare = math.log((1 - self.covers) / self.others)
        seen = (character for character in text if character > "\x7f")
        return sum(self._chances.get(one, rare + _oddness(one)) for one in seen) + sum(
            _UNLIKELY for pair in pairwise(text) if _is_unlikely(*pair)
        )


def _oddness(character: str) -> float:
    """What is no letter, mark or sign that people write counts against the reading."""
    return 0.0 if unicodedata.category(character)[0] in "LMP" else _UNLIKELY / 2


def _is_unlikely(left: str, right: str) -> bool:
    """Two neighbours in a word that hardly occur so: aB, letters of two scripts, a sign in it."""
    if not left.isalpha() or not right.isalpha():
        one = right if left.isalpha() else left
        return (left.isalpha() or right.isalpha()) and unicodedata.category(one) in ("So", "No")
    return (left.islower() and right.isupper()) or _script(left) != _script(right)


def _script(letter: str) -> str:
    first = unicodedata.name(letter, "?").split()[0]
    return _TOGETHER.get(first, first)


_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "KATAKANA-HIRAGANA": "CJK"}

_LATIN = "éèàáíóüöäñçãêåøæßúõâôîûëïÉÖÜÄÅÀÈÓÁÍÇÚØÆŒœÑÊÔÂìòùýÿÃÕðþ"
_CENTRAL = "áíéóęąłýěžščřśżůćńúöüäőťďňűźăâîșşţčŠŽČŘŁŚŻÁÉÍÓÚÝĆŹÖÜÄĐđßôĽľĺŕ"
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёОНПВСКМТИДБАРГЯЭУЛЧЗЕФХШЖЮЦЩЙЫЬЁіїєґўІЇЄ№"
_HAN = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知"
    "很太吃店服务味差评价喜欢买东西质量电影书快新美分问题点房间酒店错真意再非常感觉便宜贵买送给被把让做件"
    "高兴坏慢员工菜餐厅"
)
_HAN_TRADITIONAL = (
    "的一是不了在人有我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後"
    "小麼心多天而能好都然沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長知"
    "很太吃店服務味差評價喜歡買東西質量電影書快新美分問題點房間酒店錯真意再非常感覺便宜貴送給被把讓做件"
    "高興壞慢員工菜餐廳"
)
_KANA = (
    "のにたいをはしがとでてなかるれっまもさらすりこだきあくそせえけうよんおみつわどちじめやばげずねろ"
    "ーンスルトイアラリクドジシレタフィロプマコバュッデサグテ"
    "日人大本一年国中出時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北"
    "味店料理美悪良食買品質映画面白最近所会員"
)
_HANGUL = (
    "이다는의에을가고하지도로한서사인기를어리은나아대시그들자해보있으정일라수게주여장전부제스상구만"
    "무우마들요습니없았었것오선되성동안원유신비음했면내조용말합경저던네위계식맛좋정직친절긍"
)
_GREEK = "αοιετσνηυρπκμλςόίάγέήδωχύθφβξώζψΑΟΕΤΣΝΚΠΜΗΤΔΓΛΈΌΆ"
_TURKISH = "ıüşçğöİâŞÇÖÜîûĞ"
_HEBREW = "יוהלאתבשמרנםדקעחפגכצטןסזץךףף"
_ARABIC = "الينموترعبدسفهكقحجشةصطخأضذثغزىظءئإآ،؟"
_DOS = "éèàçêâîôûùëïüöäßñáíóúåæøÉÖÜÄÅÇ"

CANDIDATES = (
    Encoding("cp1252", _LATIN + _MARKS, 0.995, 120, prior=2.0),
    Encoding("cp1250", _CENTRAL + _MARKS, 0.995, 120),
    Encoding("iso8859_2", _CENTRAL + "\xa0", 0.99, 120, prior=-1.0),
    Encoding("cp1251", _RUSSIAN + _MARKS, 0.995, 120),
    Encoding("koi8_r", _RUSSIAN + "\xa0", 0.99, 120),
    Encoding("cp866", _RUSSIAN, 0.99, 120),
    Encoding("cp1253", _GREEK + _MARKS, 0.995, 120),
    Encoding("cp1254", _TURKISH + _LATIN[:12] + _MARKS, 0.99, 120),
    Encoding("cp1255", _HEBREW + _MARKS, 0.995, 120),
    Encoding("cp1256", _ARABIC + _MARKS, 0.995, 120),
    Encoding("gb18030", _HAN + _WIDE, 0.6, 7000),
    Encoding("big5", _HAN_TRADITIONAL + _WIDE, 0.6, 7000),
    Encoding("cp932", _KANA + _WIDE, 0.85, 5000),
    Encoding("euc_jp", _KANA + _WIDE, 0.85, 5000),
    Encoding("cp949", _HANGUL, 0.75, 3000),
    Encoding("mac_roman", _LATIN + _MARKS, 0.99, 120, prior=-2.0),
    Encoding("cp850", _DOS, 0.99, 120, prior=-2.0),
)


@dataclass(frozen=True)
class Ranked:
    """A text that some candidate reads, and how likely it is."""

    encoding: str
    score: float
    """The log-probability of its words."""
    per_byte: float
    """The same by byte that is not ASCII."""


def rank_encodings(raw: bytes) -> list[Ranked]:
    """What may have been meant, the likeliest first; encodings that read the same stand once."""
    words = list(dict.fromkeys(_WORD.findall(raw)))[:_MOST_WORDS]
    found: dict[str, Ranked] = {}
    for candidate in CANDIDATES:
        text = candidate.decode(raw)
        scores = [] if text is None else [candidate.score(word) for word in words]
        if text is None or None in scores:
            continue
        score = candidate.prior + sum(one for one in scores if one is not None)
        if text not in found or found[text].score < score:
            found[text] = Ranked(candidate.name, score, score / max(1, _high(words)))
    return sorted(found.values(), key=lambda ranked: -ranked.score)


def _high(words: list[bytes]) -> int:
    return sum(byte > 0x7F for word in words for byte in word[: 2 * _LONGEST_WORD])
