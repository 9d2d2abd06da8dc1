"""PEFT's method comparison (MetaMathQA → GSM8K) re-read by our rules: docs/peft-benchmark.md.

Reads benchmarks/published/peft_metamathqa.json, the figures as published, with the commit of
each; needs no model, no data and two seconds:

    python benchmarks/peft_benchmark.py          print the page
    python benchmarks/peft_benchmark.py write    write it, in both languages
"""

from __future__ import annotations

import sys

from published.page import PAGES, TEMPLATES, filled
from published.records import read


def main(given: list[str]) -> None:
    if given not in ([], ["write"]):
        sys.exit(__doc__)
    published = read()
    for language, template in TEMPLATES.items():
        text = filled(template.read_text(encoding="utf-8"), published, language)
        if given:
            PAGES[language].write_text(text, encoding="utf-8")
        elif language == "en":
            print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
