"""Encodings: what a file is in is found and told, or asked for with a remedy that works."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from pydantic import ValidationError

from faults import brief
from reading import again, answers, attempt, fault_of_file, read, remedies, table_of_file
from welltuned.data.config import DataConfig


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_every_line_that_is_not_utf8_is_told_with_its_byte(tmp_path: Path, name: str) -> None:
    content = b"text,label\ncaf\xe9,a\nfine,b\n\xff,c\n"
    table, faults = read(tmp_path / name, content, encoding="utf-8")
    assert table is None
    assert faults == [
        f"{name}:2:4 data.not_utf8 byte={0xE9}",
        f"{name}:4:1 data.not_utf8 byte={0xFF}",
    ]


FRENCH = ["Le café est très bon et le service impeccable", "À éviter: même pas drôle"]
SPANISH = ["¿Qué tal? La película es fantástica", "No me gustó el diseño del baño"]
DASHES = ["It’s great – “really” great", "caf\xe9 au lait"]
POLISH = ["Jedzenie było pyszne, obsługa świetna", "Nigdy więcej tu nie przyjdę"]
CZECH = ["Jídlo bylo výborné a obsluha příjemná", "Už nikdy víc, hrůza a děs"]
RUSSIAN = ["Очень хороший фильм, рекомендую всем", "Скучно и глупо"]
GREEK = ["Το φαγητό ήταν πολύ καλό", "Χάλια εξυπηρέτηση"]
TURKISH = ["Yemekler çok güzeldi, garsonlar ilgiliydi", "Asla gitmeyin, şaşkınım"]
CHINESE = ["这家餐厅的菜很好吃，服务也不错", "太差了，再也不会来"]
TRADITIONAL = ["這家餐廳的菜很好吃，服務也不錯", "太差了，再也不會來"]
JAPANESE = ["このレストランの料理はとても美味しいです", "ひどいサービスでした"]
KOREAN = ["음식이 정말 맛있고 직원도 친절해요", "다시는 안 갈 거예요"]

FOUND = [
    (FRENCH, "cp1252"),
    (FRENCH, "latin-1"),
    (SPANISH, "cp1252"),
    (DASHES, "cp1252"),
    (POLISH, "cp1250"),
    (POLISH, "iso8859_2"),
    (CZECH, "cp1250"),
    (RUSSIAN, "cp1251"),
    (RUSSIAN, "koi8_r"),
    (GREEK, "cp1253"),
    (TURKISH, "cp1254"),
    (CHINESE, "gb18030"),
    (CHINESE, "gbk"),
    (TRADITIONAL, "big5"),
    (JAPANESE, "shift_jis"),
    (JAPANESE, "euc_jp"),
    (KOREAN, "euc_kr"),
    *(
        (texts, encoding)
        for texts in (FRENCH, CHINESE, ["plain English", "and nothing else"])
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
    ),
]


@pytest.mark.parametrize(("texts", "encoding"), FOUND)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "txt"])
def test_an_encoding_is_found_and_shown_with_a_line(
    texts: list[str], encoding: str, suffix: str, tmp_path: Path
) -> None:
    written = {
        "csv": "text,label\n" + "".join(f'"{text}",a\n' for text in texts),
        "tsv": "text\tlabel\n" + "".join(f"{text}\ta\n" for text in texts),
        "jsonl": "".join(f'{{"text": "{text}", "label": "a"}}\n' for text in texts),
        "txt": "".join(f"{text}\n" for text in texts),
    }[suffix]
    table = table_of_file(tmp_path / f"a.{suffix}", written.encode(encoding))
    assert table.columns["text"] == texts
    (reading,) = table.readings
    assert reading.question == "encoding"
    shown, line = reading.said["values"]["sample"], reading.said["values"]["line"]
    assert shown[:20] in written.split("\n")[line - 1]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_utf8_is_not_worth_a_word(mark: bytes, tmp_path: Path) -> None:
    table = table_of_file(tmp_path / "a.csv", mark + "text,label\ncafé 這 😀,a\n".encode())
    assert table.columns == {"text": ["café 這 😀"], "label": ["a"]} and table.readings == ()


def test_where_several_are_as_likely_it_asks_and_its_remedy_works(tmp_path: Path) -> None:
    """0xE8 is è in Western and č in Central Europe; the words are those of neither."""
    content = b"text,label\nxx\xe8\xf8,a\nyy\xf8\xec,b\n"
    fault = fault_of_file(tmp_path / "a.csv", content, "data.encoding_unclear")
    assert fault.place is not None and fault.place.line == 2
    chosen = remedies(fault)
    assert chosen and all(one["encoding"] in fault.values["readings"] for one in chosen)
    table, faults = again(tmp_path / "a.csv", **chosen[0])
    assert faults == [] and table is not None
    assert table.columns["text"][0] in fault.values["readings"]


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "xxèø"), ("cp1250", "xxčř")])
def test_an_encoding_that_is_given_decides(encoding: str, text: str, tmp_path: Path) -> None:
    content = b"text,label\nxx\xe8\xf8,a\n"
    table = table_of_file(tmp_path / "a.csv", content, encoding=encoding)
    assert table.columns["text"] == [text] and table.readings == ()


def test_an_encoding_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    content = b"text,label\nfine,a\ncaf\xe9,b\n"
    fault = fault_of_file(tmp_path / "a.csv", content, "data.not_in_encoding", encoding="shift_jis")
    assert fault.place is not None and fault.place.line == 3


def test_a_few_bad_bytes_in_utf8_are_damage_and_no_other_encoding(tmp_path: Path) -> None:
    content = b"text,label\n" + "é très où,a\n".encode() * 5 + b"caf\xe9,b\n"
    _, faults = attempt(tmp_path / "a.csv", content)
    assert brief(faults) == ["a.csv:7:4 data.not_utf8"]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    noise = bytes(range(128, 256)) * 3 + b"\n\x81\x8d\x8f\x90\x9d\xff\n"
    fault_of_file(tmp_path / "a.txt", noise, "data.encoding_unknown")


@pytest.mark.parametrize("name", ["latin-9000", "base64", "rot13"])
def test_a_name_that_is_no_encoding_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        DataConfig(train="a.csv", encoding=name)


def test_it_is_the_question_of_the_table(tmp_path: Path) -> None:
    table, _ = attempt(tmp_path / "a.csv", "text,label\ncafé,a\n".encode("cp1252"))
    assert answers(table) == {"encoding": "cp1252"}


def test_an_encoding_that_knows_no_places_refuses_at_the_first_line(tmp_path: Path) -> None:
    _, faults = read(tmp_path / "a.csv", b"text,label\na.xn--a,b\n", encoding="idna")
    assert faults[0].startswith("a.csv:1 data.not_in_encoding encoding=idna")
