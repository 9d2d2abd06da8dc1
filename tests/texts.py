"""Texts as people may have them: quotes, line ends, marks, emoji, scripts, what cannot be seen."""

from __future__ import annotations

from hypothesis import strategies as some

AWKWARD = (
    *'",;|\t\'\\#=', "\n", "\r", "\r\n", "\u2028", "\x85", "\u200b", "\u200d", "\ufeff", "\xa0",
    "\u00ad", "e\u0301", "\u0301", "\u202e", "😀", "👩\u200d💻", "🇩🇪",
    "這", "語", "한", "ж", "ß", "عر", "हिं", "ไทย",
)  # fmt: skip
_ANY = some.characters(exclude_categories=["Cc", "Cn", "Co", "Cs"])
texts = some.lists(some.sampled_from(AWKWARD) | some.text(_ANY, max_size=3), max_size=12).map(
    lambda parts: "a" + "".join(parts) + "z"
)
"""Texts that begin and end with a letter, so that white space at the ends is not in question."""
