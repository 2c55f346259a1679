"""Shell completion: from file names and from code that is parsed, never run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class
from click.shell_completion import split_arg_string as split

VARIABLE = "_PRELU_TOOLS_COMPLETE"
"""The environment variable by which a shell requests completions."""
_WEIGHTS = (".pt", ".pth", ".safetensors", ".weights.h5")

Complete = Callable[[click.Context, click.Parameter, str], list["CompletionItem[str]"]]


def complete_source(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """A file; after `nets.py:` what the file defines; after an `@` files of weights."""
    if "@" in incomplete:
        source, _, path = incomplete.rpartition("@")
        return [CompletionItem(f"{source}@{found}") for found in _paths(path, _WEIGHTS)]
    file, colon, name = incomplete.rpartition(":")
    if not colon and incomplete.endswith(".py"):
        file, name = incomplete, ""
    if file.endswith(".py"):
        return [CompletionItem(f"{file}:{found}") for found in _defined(file, name)]
    return [CompletionItem(incomplete, type="file")]


def complete_report(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """FORMAT=PATH: first the formats of the command, then a path."""
    from prelu_tools.reports import formats_of

    form, separator, path = incomplete.partition("=")
    if separator:
        return [CompletionItem(f"{form}={found}") for found in _paths(path)]
    known = formats_of(ctx.command.name or "")
    return [CompletionItem(f"{name}=") for name in known if name.startswith(form)]


def complete_words(*words: str) -> Complete:
    """One of these words."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete


def _paths(start: str, suffixes: Sequence[str] = ()) -> list[str]:
    """Folders and files that begin so, the latter with one of the suffixes, if there are any."""
    folder, _, name = start.rpartition("/")
    base = Path(folder + "/" if start.startswith("/") else folder or ".")
    found = []
    try:
        entries = sorted(os.scandir(base), key=lambda entry: entry.name)
    except OSError:
        return []
    for entry in entries:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name):
            continue
        path = f"{folder}/{entry.name}" if "/" in start else entry.name
        if entry.is_dir():
            found.append(f"{path}/")
        elif not suffixes or entry.name.endswith(tuple(suffixes)):
            found.append(path)
    return found


def _defined(file: str, start: str) -> list[str]:
    """The public classes and functions at the top of a Python file; it is read and not run."""
    from prelu_tools.core.python_code import read_code

    code = read_code(Path(file))
    names = [] if code is None else [maker.name for maker in code.makers]
    return [name for name in names if name.startswith(start) and not name.startswith("_")]


# Bash takes a word apart at `:`, `=` and `@`, all of which a SOURCE may have in it. So the line is
# split here, as a shell does, and the part before bash's own word is removed from the answers.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_PART="${COMP_WORDS[COMP_CWORD]}" \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                [[ $value == *[=/] ]] && compopt -o nospace
                ;;
        esac
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    """Bash, for words with colons in them."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        words = split(os.environ["COMP_LINE"] + "\0")  # so that the last one is the incomplete one
        return words[1:-1], words[-1].removesuffix("\0")

    def format_completion(self, item: CompletionItem[str]) -> str:
        whole, part = self.get_completion_args()[1], os.environ.get("COMP_PART", "")
        if not part.strip(":=@("):
            part = ""
        before = whole[: len(whole) - len(part)] if whole.endswith(part) else ""
        before = before.removesuffix("@")  # which readline takes for a part of the word
        return f"{item.type},{item.value.removeprefix(before)}"


add_completion_class(_Bash)
