"""Tables: what data flow is in each language, by the names of its tree-sitter grammar.

Python, Java, JavaScript and Ruby give the graphs that GraphCodeBERT was pretrained on, whatever
these leave out: JavaScript's plain assignments are in no graph of theirs. One thing is mended: the
body of a Python loop that has an `else`, of which they hold nothing. For Go, PHP and C# the
kinds are those of today's grammars, and bindings count that were lost in pretraining (`:=` in Go).
C and C++ were not in it; their tables are in its manner.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from welltuned.data.dataflow.rules import (
    Binding,
    Branch,
    CountedLoop,
    Increment,
    Iteration,
    LanguageTable,
    RepeatedBlock,
)

LanguageName = Literal["python", "java", "javascript", "go", "ruby", "php", "c_sharp", "c", "cpp"]

_definition = partial(Binding, value="value", computed=False, declares=True)
_ELSE = Branch(kinds=("if_statement",), arms=("if_statement", "else"), latches=True)

PYTHON = LanguageTable(
    title="Python",
    package="tree_sitter_python",
    rules=(
        Binding(kinds=("default_parameter",), target="name", value="value", computed=False),
        Binding(kinds=("assignment", "augmented_assignment"), pairwise=True, at_once=True),
        Binding(kinds=("for_in_clause",), value=-1, at_once=True),
        Branch(kinds=("if_statement",), arms=("elif_clause", "else_clause")),
        Iteration(
            binding=Binding(kinds=("for_statement",), pairwise=True, at_once=True),
            afterwards="alternative",
        ),
        RepeatedBlock(kinds=("while_statement",)),
    ),
    strings=("string",),
    docstrings=("expression_statement",),
    walked_first=("for_in_clause",),
)

JAVA = LanguageTable(
    title="Java",
    package="tree_sitter_java",
    rules=(
        _definition(kinds=("variable_declarator",), target="name"),
        Binding(kinds=("assignment_expression",)),
        Increment(kinds=("update_expression",)),
        _ELSE,
        CountedLoop(kinds=("for_statement",), starts=("local_variable_declaration",)),
        Iteration(binding=Binding(kinds=("enhanced_for_statement",), target="name", value="value")),
        RepeatedBlock(kinds=("while_statement",)),
    ),
    strings=("string_literal", "character_literal"),
    comments=("line_comment", "block_comment"),
)

JAVASCRIPT = LanguageTable(
    title="JavaScript",
    package="tree_sitter_javascript",
    rules=(
        _definition(kinds=("variable_declarator",), target="name"),
        Binding(kinds=("assignment_pattern", "augmented_assignment_expression")),
        Increment(kinds=("update_expression",)),
        Branch(
            kinds=("if_statement",),
            arms=("if_statement", "else"),
            latches=True,
            keeps_entry=True,
        ),
        CountedLoop(kinds=("for_statement",), starts=("variable_declaration",)),
        RepeatedBlock(kinds=("while_statement",)),
    ),
    strings=("string",),
)

RUBY = LanguageTable(
    title="Ruby",
    package="tree_sitter_ruby",
    rules=(
        _definition(kinds=("keyword_parameter",), target="name"),
        Binding(kinds=("assignment",), pairwise=True, at_once=True),
        Binding(kinds=("operator_assignment",), at_once=True),
        Branch(
            kinds=("if", "elsif", "else", "unless", "when"),
            arms=("if", "elsif", "else", "unless", "when"),
        ),
        Iteration(binding=Binding(kinds=("for",), target="pattern", value="value", at_once=True)),
        RepeatedBlock(kinds=("while_modifier", "until")),
    ),
    strings=("string",),
)

GO = LanguageTable(
    title="Go",
    package="tree_sitter_go",
    rules=(
        _definition(kinds=("var_spec",), target="name"),
        Binding(kinds=("assignment_statement", "short_var_declaration"), pairwise=True),
        Binding(kinds=("range_clause",)),
        Increment(kinds=("inc_statement", "dec_statement")),
        Branch(
            kinds=("if_statement",),
            arms=("if_statement", "else"),
            latches=True,
            keeps_entry=True,
        ),
        CountedLoop(
            kinds=("for_statement",), starts=("for_clause", "range_clause"), sides=("update",)
        ),
    ),
    strings=("interpreted_string_literal", "raw_string_literal", "rune_literal"),
)

PHP = LanguageTable(
    title="PHP",
    package="tree_sitter_php",
    grammar="language_php",
    rules=(
        _definition(kinds=("simple_parameter",), target="name", value="default_value"),
        Binding(kinds=("assignment_expression", "augmented_assignment_expression")),
        Increment(kinds=("update_expression",)),
        Branch(
            kinds=("if_statement",),
            arms=("else_if_clause", "else_clause"),
            keeps_entry=True,
        ),
        CountedLoop(kinds=("for_statement",), starts=("assignment_expression",)),
        Iteration(binding=Binding(kinds=("foreach_statement",), target=1, value=0)),
        RepeatedBlock(kinds=("while_statement",)),
    ),
    strings=("string",),
    identifiers=("name",),
    frame=("<?php\n", "\n?>"),
)

C_SHARP = LanguageTable(
    title="C#",
    package="tree_sitter_c_sharp",
    rules=(
        _definition(kinds=("variable_declarator",), target="name", value=-1),
        Binding(kinds=("assignment_expression",)),
        Increment(kinds=("postfix_unary_expression",)),
        _ELSE,
        CountedLoop(kinds=("for_statement",), starts=("variable_declaration",)),
        Iteration(binding=Binding(kinds=("foreach_statement",))),
        RepeatedBlock(kinds=("while_statement",)),
    ),
    strings=("string_literal", "verbatim_string_literal", "character_literal"),
)

_C_RULES = (
    _definition(kinds=("init_declarator",), target="declarator"),
    Binding(kinds=("assignment_expression",)),
    Increment(kinds=("update_expression",)),
    Branch(kinds=("if_statement",), arms=("else_clause",)),
    CountedLoop(kinds=("for_statement",), starts=("declaration", ";")),
    RepeatedBlock(kinds=("while_statement", "do_statement")),
)

C = LanguageTable(
    title="C",
    package="tree_sitter_c",
    rules=_C_RULES,
    strings=("string_literal", "char_literal"),
)

CPP = LanguageTable(
    title="C++",
    package="tree_sitter_cpp",
    rules=(
        *_C_RULES,
        Iteration(binding=Binding(kinds=("for_range_loop",), target="declarator", value="right")),
    ),
    strings=("string_literal", "raw_string_literal", "char_literal"),
)

LANGUAGES: Mapping[LanguageName, LanguageTable] = {
    "python": PYTHON,
    "java": JAVA,
    "javascript": JAVASCRIPT,
    "go": GO,
    "ruby": RUBY,
    "php": PHP,
    "c_sharp": C_SHARP,
    "c": C,
    "cpp": CPP,
}

_OTHER_NAMES: Mapping[str, LanguageName] = {
    **{"py": "python", "python3": "python", "js": "javascript", "golang": "go", "rb": "ruby"},
    **{"c#": "c_sharp", "csharp": "c_sharp", "cs": "c_sharp", "c-sharp": "c_sharp"},
    **{"c++": "cpp", "cc": "cpp", "cxx": "cpp", "cplusplus": "cpp"},
}


def language_named(written: object) -> LanguageName | None:
    """The language that a cell names, such as `C++` or `py`; None where nobody knows it."""
    name = str(written).strip().casefold() if written is not None else ""
    known: dict[str, LanguageName] = {**{key: key for key in LANGUAGES}, **_OTHER_NAMES}
    return known.get(name)
