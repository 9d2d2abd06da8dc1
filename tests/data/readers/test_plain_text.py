"""Plain text: a record a line, whatever else the lines hold."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from reading import table_of_file
from texts import texts

LINES = some.lists(texts.map(lambda text: " ".join(text.splitlines())), min_size=1, max_size=8)
RELAXED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)


@RELAXED
@given(
    LINES,
    some.sampled_from(["\n", "\r\n", "\r"]),
    some.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_the_lines_are_what_was_written(
    tmp_path: Path, lines: list[str], end: str, encoding: str
) -> None:
    table = table_of_file(tmp_path / "a.txt", end.join(lines).encode(encoding))
    assert table.columns == {"text": lines}
    assert table.lines == list(range(1, len(lines) + 1))


def test_what_is_no_line_end_ends_no_line(tmp_path: Path) -> None:
    """Unlike `str.splitlines`: these stand within texts."""
    line = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g"
    table = table_of_file(tmp_path / "a.txt", f"{line}\n\nz\n")
    assert table.columns == {"text": [line, "z"]} and table.lines == [1, 3]
