"""The script for the server: its tables, and its clients, without a model."""

from __future__ import annotations

import asyncio

import pytest

import serving
from marked import with_part


def rate(texts_a_second: float) -> serving.Rate:
    """At two milliseconds of a processor for each text."""
    return serving.Rate([texts_a_second], [0.002])


FOUND = serving.Found(
    predict=rate(500.0),
    rates={1: rate(300.0), 32: rate(480.0)},
    latencies={1: [0.01] * 99 + [0.2], 32: [0.05]},
    at_work={1: 0.8, 32: 0.55},
    together={1: 2.5, 32: 32.0},
    kept=[0.02],
    refused=0.25,
    differ=2e-7,
    asked=120,
    lost=0,
)


@pytest.mark.parametrize("language", serving.PAGES)
def test_the_table_has_a_row_for_each_size_and_what_was_lost(language: str) -> None:
    found = serving.table(FOUND, language)
    assert "| 32 | 480 | 0.96 | 1.00 | 50 ms | 50 ms | 55% | 32.0 |" in found
    assert "| 1 | 300 | 0.60 | 1.00 | 10 ms |" in found and "120" in found and "25.0%" in found


@pytest.mark.parametrize("language", serving.PAGES)
def test_the_page_has_a_place_for_it(language: str) -> None:
    page = serving.PAGES[language].read_text(encoding="utf-8")
    assert "a part" in with_part(page, serving.PART, "a part")


def test_clients_ask_every_text_once_and_keep_their_order() -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            asked.append(await reader.readexactly(length))
            body = asked[-1].replace(b"inputs", b"answers")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async def run() -> list[object]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await serving.saturate(port, [f"text {i}" for i in range(100)], 8)

    assert asyncio.run(run()) == [f"text {i}" for i in range(100)]
    assert len(asked) == 13
