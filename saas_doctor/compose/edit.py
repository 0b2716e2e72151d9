"""Edits of a YAML file at its nodes: all other bytes stay, and nothing else of it changes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saas_doctor.actions.files import EditFile
from saas_doctor.compose.nodes import File, Node
from saas_doctor.edits import apply_edits, newline_of

Event = tuple[str, ...]


def replaced(
    file: File, start: int, end: int, text: str, why: str, *, wanted: str | None = None
) -> EditFile | None:
    """Put other characters into one scalar, or in its place where `wanted` says how it then reads.

    None where the file would not read so afterwards, or where anything else would change.
    """
    edit = file.edit(start, end, text)
    if edit is None:
        return None
    old = file.text[start:end]
    before, after = _events(file.data), _events(apply_edits(file.data, [edit]))
    changed = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]]
    if len(before) != len(after) or len(changed) != 1:
        return None
    was, now = changed[0][0][1], changed[0][1][1]
    if now != (was.replace(old, text, 1) if wanted is None else wanted):
        return None
    return EditFile(file.path, file.name, file.data, (edit,), (why,))


def inserted_after(node: Node, key: str, lines: Sequence[str], why: str) -> EditFile | None:
    """Put lines behind the one of a map's key, indented as it is; None where that can't be done.

    `lines` are indented against the key. The map must be in block style, the value on its line.
    """
    entry = node.entries.get(key)
    if entry is None or entry.inherited or entry.key.file is not entry.value.file:
        return None
    file, text = entry.key.file, entry.key.file.text
    first = text.rfind("\n", 0, entry.key.start) + 1
    indent = text[first : entry.key.start]
    if indent.strip() or "\n" in text[entry.key.start : entry.value.end]:
        return None
    newline = newline_of(file.data).decode()
    ending = text.find("\n", entry.value.end)
    block = newline.join(indent + line for line in lines)
    at = len(text) if ending < 0 else ending + 1
    edit = file.edit(at, at, newline + block if ending < 0 else block + newline)
    if edit is None or not re.match(r"[^\S\n]*(#[^\n]*)?$", text[entry.value.end :].split("\n")[0]):
        return None
    before, after = _events(file.data), _events(apply_edits(file.data, [edit]))
    if not _is_within(before, after):
        return None
    return EditFile(file.path, file.name, file.data, (edit,), (why,))


def _is_within(before: list[Event], after: list[Event]) -> bool:
    """Whether what was there is all there still, with something more at one place."""
    same = 0
    while same < len(before) and same < len(after) and before[same] == after[same]:
        same += 1
    rest = before[same:]
    return len(after) > len(before) and (not rest or after[-len(rest) :] == rest)


def _events(data: bytes) -> list[Event]:
    """The file as its parser tells it; empty where it is no YAML."""
    import yaml

    events: list[Event] = []
    try:
        for event in yaml.parse(data, Loader=getattr(yaml, "CLoader", yaml.Loader)):
            names = ("value", "anchor", "tag", "style")
            told = [str(getattr(event, name, "")) for name in names]
            events.append((type(event).__name__, *told))
    except (yaml.YAMLError, UnicodeDecodeError):
        return []
    return events
