"""The comments of a file, told from strings: Python, JavaScript, YAML, TOML, .env, requirements."""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections.abc import Iterator

from msgspec import Struct

SCRIPTS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte")
_QUOTED = re.compile(
    r'"""(?:\\.|.)*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\])*"|\'[^\'\n]*\'|(?P<comment>(?<!\S)#[^\n]*)',
    re.S,
)
_TO_THE_END = re.compile(r"(?P<comment>(?<!\S)#[^\n]*)")
_WHOLE_LINE = re.compile(r"(?m)^[ \t]*(?P<comment>#[^\n]*)")
_QUOTING = (".toml", ".sh", ".bash")
_FORMS = (".txt", ".in", ".cfg", ".ini", ".conf")


class Comment(Struct, frozen=True):
    """A comment's text, where it begins, and the lines that it stands beside or above."""

    text: str
    line: int
    column: int
    lines: range


def has_comments(name: str) -> bool:
    """Whether comments of a file of this name are known."""
    name = os.path.basename(name)
    known = (".py", ".yml", ".yaml", *SCRIPTS, *_QUOTING, *_FORMS)
    return name.endswith(known) or _is_env(name) or _is_dockerfile(name)


def comments(name: str, data: bytes) -> Iterator[Comment]:
    """The comments of a file; what can't be parsed has those before the mistake, or none."""
    base = os.path.basename(name)
    text = data.decode("utf-8", "replace")
    if base.endswith(".py"):
        yield from _python(data)
    elif base.endswith(SCRIPTS):
        yield from _beside(text, _scripts(base, data))
    elif base.endswith((".yml", ".yaml")):
        yield from _beside(text, _yaml(text))
    else:
        form = _WHOLE_LINE if _is_dockerfile(base) else _TO_THE_END
        form = _QUOTED if base.endswith(_QUOTING) or _is_env(base) else form
        found = (m for m in form.finditer(text) if m["comment"])
        yield from _beside(text, ((m["comment"], m.start("comment")) for m in found))


def _is_env(base: str) -> bool:
    return base == ".env" or base.startswith(".env.") or base.endswith(".env")


def _is_dockerfile(base: str) -> bool:
    return base.startswith(("Dockerfile", "Containerfile")) or base.endswith(".Dockerfile")


def _beside(text: str, found: Iterator[tuple[str, int]]) -> Iterator[Comment]:
    """Each beside its line; one that stands alone, above the next line that is no comment."""
    lines = text.split("\n")
    for comment, at in found:
        line = text.count("\n", 0, at) + 1
        column = at - text.rfind("\n", 0, at)
        first = line
        if not lines[line - 1][: column - 1].strip():
            below = range(line, len(lines))
            first = next((n + 1 for n in below if not _is_apart(lines[n])), line)
        yield Comment(comment, line, column, range(first, first + 1))


def _is_apart(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(("#", "//"))


def _scripts(base: str, data: bytes) -> Iterator[tuple[str, int]]:
    from saas_doctor.facts.javascript import parse

    nodes = [parse(base, data)]
    for node in nodes:  # grows meanwhile
        if node.type == "comment":
            text = data[node.start_byte : node.end_byte].decode("utf-8", "replace")
            yield text, len(data[: node.start_byte].decode("utf-8", "replace"))
        nodes += node.children


def _yaml(text: str) -> Iterator[tuple[str, int]]:
    """By the scalars that YAML itself reads: a # in one, quoted or a block, begins no comment."""
    import yaml

    try:
        tokens = yaml.scan(text, Loader=yaml.SafeLoader)
        scalars = [token for token in tokens if isinstance(token, yaml.ScalarToken)]
    except (yaml.YAMLError, RecursionError, ValueError):
        return
    for found in _TO_THE_END.finditer(text):
        at = found.start()
        if not any(s.start_mark.index <= at < s.end_mark.index for s in scalars):
            yield found["comment"], at


def _python(data: bytes) -> Iterator[Comment]:
    """Each beside or above a statement, whose lines are its head's, decorators included."""
    waiting: list[tokenize.TokenInfo] = []
    first = last = 0
    begun = decorates = False
    skipped = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            if token.type == tokenize.COMMENT:
                waiting.append(token)
            elif token.type == tokenize.NEWLINE:
                begun = False
                if not decorates:  # else what it decorates follows
                    yield from (_found(comment, range(first, last + 1)) for comment in waiting)
                    waiting, first = [], 0
            elif token.type not in skipped:
                decorates = decorates if begun else token.string == "@"
                first, last, begun = first or token.start[0], token.end[0], True
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return
    yield from (_found(comment, range(0)) for comment in waiting)


def _found(token: tokenize.TokenInfo, lines: range) -> Comment:
    line, column = token.start
    return Comment(token.string, line, column + 1, lines)
