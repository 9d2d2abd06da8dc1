"""Grammars: the installed parsers, each checked against what its table names.

A grammar renames its nodes now and then. A table that names what is no longer there would give
graphs without edges, so that is a fault, and not an empty graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module, metadata
from typing import TYPE_CHECKING

from welltuned.data.dataflow.rules import LanguageTable
from welltuned.data.dataflow.tables import LANGUAGES, LanguageName
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from tree_sitter import Language, Parser


@cache
def parser_of(language: LanguageName) -> Parser:
    """The parser of a language. Raises `InputError` where it is absent, or not as its table."""
    table = LANGUAGES[language]
    grammar = _grammar(table)
    if faults := list(drift_of(table, grammar)):
        raise InputError(faults)
    from tree_sitter import Parser

    return Parser(grammar)


def grammar_faults(languages: Iterable[LanguageName]) -> Iterator[Fault]:
    """Yield why sources in these languages cannot be parsed here."""
    for language in sorted(set(languages)):
        try:
            parser_of(language)
        except InputError as error:
            yield from error.faults


def _grammar(table: LanguageTable) -> Language:
    try:
        from tree_sitter import Language

        return Language(getattr(import_module(table.package), table.grammar)())
    except ImportError as error:
        raise InputError(
            Fault(
                "data.grammar_missing",
                "the data flow of {language} cannot be read: {package} is not installed",
                None,
                "run: pip install 'welltuned[code]'",
                language=table.title,
                package=(error.name or table.package).replace("_", "-"),
            )
        ) from error
    except (AttributeError, ValueError) as error:
        raise InputError(_misfit(table, str(error))) from error


def drift_of(table: LanguageTable, grammar: Language) -> Iterator[Fault]:
    """Yield one fault where a grammar lacks kinds or fields of nodes that its table names."""
    kinds = [kind for kind in dict.fromkeys(table.known_kinds) if not _has_kind(grammar, kind)]
    fields = [
        name
        for name in dict.fromkeys(table.known_fields)
        if grammar.field_id_for_name(name) is None
    ]
    if kinds or fields:
        yield _misfit(table, "it has no node or field " + ", ".join([*kinds, *fields]))


def _has_kind(grammar: Language, kind: str) -> bool:
    return any(grammar.id_for_node_kind(kind, named) for named in (True, False))


def _misfit(table: LanguageTable, reason: str) -> Fault:
    package = table.package.replace("_", "-")
    return Fault(
        "data.grammar_differs",
        "the grammar {package} {version} is not the one that data flow was written for: {reason}",
        None,
        "run: pip install --upgrade --force-reinstall 'welltuned[code]'; or install another "
        "version of {package}",
        package=package,
        version=metadata.version(package),
        reason=reason,
    )
