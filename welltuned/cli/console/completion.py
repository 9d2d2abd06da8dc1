"""Scripts that complete our lines in bash, zsh and fish, made of the words after each verb.

In bash and zsh a function holds the words; a word that ends in `=` is a key, one with something
behind it a choice. In fish each verb has a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

WordsByVerb = Mapping[str, Sequence[str]]

_FUNCTION = """\
_welltuned_words() {{
  case "$1" in
{cases}
  esac
}}
"""

_BASH = """\
# bash completion of welltuned, written by `welltuned completion bash`.
{function}
_welltuned() {{
  local line="${{COMP_LINE:0:COMP_POINT}}" word verb="" cut="" one
  word="${{line##*[[:space:]]}}"
  local -a before
  read -r -a before <<< "${{line%"$word"}}"
  if [[ ${{#before[@]}} -gt 1 ]]; then
    verb="${{before[1]}}"
    if [[ -n "${{before[2]:-}}" && -n "$(_welltuned_words "$verb ${{before[2]}}")" ]]; then
      verb="$verb ${{before[2]}}"
    fi
  fi
  # bash breaks words at "=", and then wants what stands behind it alone.
  [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]] && cut="${{word%%=*}}="
  COMPREPLY=()
  while IFS= read -r one; do
    [[ "$word" != *=* && "$one" == *=?* ]] && continue
    [[ "$word" == *= && "$one" == "$word" ]] && continue
    [[ -n "$one" && "$one" == "$word"* ]] && COMPREPLY+=("${{one#"$cut"}}")
  done <<< "$(_welltuned_words "$verb")"
  if [[ ${{#COMPREPLY[@]}} -eq 0 ]]; then
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- "${{word#"$cut"}}"))
    compopt -o filenames 2> /dev/null
  elif [[ ${{#COMPREPLY[@]}} -eq 1 && "${{COMPREPLY[0]}}" == *= ]]; then
    compopt -o nospace 2> /dev/null
  fi
}}
complete -F _welltuned welltuned
"""

_ZSH = """\
#compdef welltuned
# zsh completion of welltuned, written by `welltuned completion zsh`.
{function}
_welltuned() {{
  local verb="" word="$PREFIX"
  local -a list keys
  if (( CURRENT > 2 )); then
    verb="${{words[2]}}"
    if (( CURRENT > 3 )) && [[ -n "$(_welltuned_words "$verb ${{words[3]}}")" ]]; then
      verb="$verb ${{words[3]}}"
    fi
  fi
  list=("${{(@f)$(_welltuned_words "$verb")}}")
  if [[ "$word" == *=* ]]; then
    list=("${{(@M)list:#${{word%%=*}}=?*}}")
    compadd -- $list
    compset -P '*=' && _files
  else
    keys=("${{(@M)list:#*=}}")
    compadd -S '' -- $keys
    compadd -- ${{(@)list:#*=*}}
    (( CURRENT > 2 )) && _files
  fi
}}
if [[ "$funcstack[1]" == _welltuned ]]; then _welltuned "$@"; else compdef _welltuned welltuned; fi
"""

_FISH = """\
# fish completion of welltuned, written by `welltuned completion fish`.
{lines}
"""


def bash_script(words: WordsByVerb) -> str:
    """For bash 3.2 and later."""
    return _BASH.format(function=_function(words))


def zsh_script(words: WordsByVerb) -> str:
    """For zsh, as a file of `$fpath` or to be read by `source`."""
    return _ZSH.format(function=_function(words))


def fish_script(words: WordsByVerb) -> str:
    """For fish, which completes file names by itself."""
    lines = [_fish_line(verb, words) for verb, some in words.items() if some]
    return _FISH.format(lines="\n".join(lines))


SHELLS: Mapping[str, Callable[[WordsByVerb], str]] = {
    "bash": bash_script, "zsh": zsh_script, "fish": fish_script
}  # fmt: skip
"""The script of each shell."""


def _function(words: WordsByVerb) -> str:
    """A function of sh that prints the words of a verb, one a line."""
    cases = "\n".join(
        f"    {_quoted(verb)}) printf '%s\\n' {' '.join(map(_quoted, some))} ;;"
        for verb, some in words.items()
        if some
    )
    return _FUNCTION.format(cases=cases)


def _fish_line(verb: str, words: WordsByVerb) -> str:
    """The words of a verb, where it has been typed and none below it; at first verbs alone."""
    typed = [f"__fish_seen_subcommand_from {one}" for one in verb.split()]
    below = [one.split()[-1] for one in words if verb and one.startswith(f"{verb} ")]
    if below:
        typed.append(f"not __fish_seen_subcommand_from {' '.join(below)}")
    condition = "; and ".join(typed) or "__fish_use_subcommand"
    offered = ("" if verb else "-f ") + f"-a {_quoted(' '.join(words[verb]))}"
    return f"complete -c welltuned -n {_quoted(condition)} {offered}"


def _quoted(word: str) -> str:
    """As a shell takes it, whatever is in it."""
    return "'" + word.replace("'", "'\\''") + "'"
