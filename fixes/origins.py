"""Repairs the allowed origins, in the settings file or in the source."""

from __future__ import annotations

import re
from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.literals import Spot
from saas_doctor.facts.module import Module
from saas_doctor.model import Absent, Finding
from saas_doctor.rules import fix


@fix("WEB801")
def allow_origin(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Add the origin to the setting."""
    setting = env.file.find(finding.data["key"])
    if setting and b"$" in env.file.data[setting.start : setting.end]:
        raise Absent(f"{setting.key} is put together from other variables; add the origin by hand")
    yield env.file.set(finding.data["key"], finding.data["value"])


@fix("WEB806")
def write_as_a_browser_sends_it(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Write the origin as a browser sends it."""
    module: Module = finding.data["module"]
    call, spot = finding.data["call"], finding.data["spot"]
    old, new = finding.data["old"], finding.data["new"]
    if call is not None:
        end = module.offset(call.end_lineno, call.end_col_offset)
        yield module.edited([Edit(end, end, b'.rstrip("/")')], "origins without a slash")
    elif spot.node is not None:
        home, node = spot.module, spot.node
        start = home.offset(node.lineno, node.col_offset)
        end = home.offset(node.end_lineno, node.end_col_offset)
        yield home.edited([_replaced(home.data, start, end, old, new, spot)], new)
    else:
        setting = env.file.find(spot.variable)
        if setting is None:
            raise Absent(f"{spot.variable} is not in {env.name} any more")
        file = env.file
        edit = _replaced(file.data, setting.start, setting.end, old, new, spot)
        yield EditFile(file.path, file.name, file.data, (edit,), (new,))


def _replaced(data: bytes, start: int, end: int, old: str, new: str, spot: Spot) -> Edit:
    """The edit of the one part of a text; Absent where it does not stand there just once."""
    part = rb"(?<![^,\s\"'\[])" + re.escape(old.encode()) + rb"(?![^,\s\"'\]])"
    found = list(re.finditer(part, data[start:end]))
    if len(found) != 1:
        raise Absent(f"{old} is not written as such at {spot}; correct it by hand")
    return Edit(start + found[0].start(), start + found[0].end(), new.encode())
