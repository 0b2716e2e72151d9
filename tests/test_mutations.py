"""Files with bytes changed at random: no check fails or hangs, no place is made up, every edit can be undone.

SD_EXAMPLES says how many of each file (`make mutations`: 10,000).
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from saas_doctor import plan as plans
from saas_doctor import platform as platforms
from saas_doctor import rules, runner
from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.facts import Facts, is_live
from saas_doctor.facts.interpreter import Interpreter, Pythons
from saas_doctor.facts.syntax import Syntax
from saas_doctor.model import Absent, Blocked, DoctorError, Finding, Unreadable

SECONDS = 5
"""Of the processor, for all checks and edits of one example; they take a tenth of one."""
EXAMPLES = int(os.environ.get("SD_EXAMPLES", "60"))
FILES = Path(__file__).parent / "mutations"
PLACES = {
    "models.py": "backend/app/models.py",
    "main.py": "backend/app/main.py",
    "options.py": "backend/app/options.py",
    "requirements.txt": "backend/requirements.txt",
    "env": "backend/.env",
    "compose.yaml": "compose.yaml",
    "Dockerfile": "docker/Dockerfile",
    "saas-doctor.toml": "saas-doctor.toml",
    "pyproject.toml": "worker/pyproject.toml",
    "vite.config.ts": "frontend/vite.config.ts",
    "api.ts": "frontend/src/api.ts",
}
INSTALLED = ("fastapi-0.165.0", "pydantic-2.14.3", "sqlalchemy-2.0.58", "httpx-0.28.1")
STARTS_PROCESSES = (Syntax, Pythons)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform of one file of each kind, each with something to find in it."""
    root = tmp_path_factory.mktemp("mutations")
    for name, place in PLACES.items():
        target = root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FILES / name, target)
    (root / "backend/.env.example").write_bytes((FILES / "env").read_bytes())
    (root / "backend/app/__init__.py").write_text("")
    site = root / "backend/.venv/lib/python3.12/site-packages"
    for package in INSTALLED:
        (site / f"{package}.dist-info").mkdir(parents=True)
        (site / f"{package}.dist-info/METADATA").write_text("Metadata-Version: 2.1\n")
    return root


def mutated(data: bytes, draw: st.DataObject) -> bytes:
    """A few places cut out, put in, doubled or replaced."""
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 5))):
        at = draw.draw(st.integers(0, len(changed)))
        end = min(len(changed), at + draw.draw(st.integers(0, 12)))
        changed[at:end] = draw.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [
                        b"\n",
                        b"\r\n",
                        b'"',
                        b"'",
                        b"{",
                        b"}",
                        b"(",
                        b"#",
                        b"\\",
                        b"\t",
                        b"\xef\xbb\xbf",
                    ]
                ),
                st.just(bytes(changed[at:end]) * 2),
            )
        )
    return bytes(changed)


def known(root: Path) -> Interpreter:
    folder = root / "backend/.venv"
    return Interpreter(folder, "backend/.venv", True, Path(sys.executable), Version("3.12.1"))


def asked(kinds: dict[str, type]) -> bool:
    return any(is_live(kind) or uses(kind) for kind in kinds.values())


def uses(kind: type) -> bool:
    from saas_doctor.facts import sources

    return kind in STARTS_PROCESSES or any(uses(k) for k in sources(kind))


def findings(root: Path) -> Iterator[tuple[Facts, list[Finding]]]:
    """What every static check that starts no process finds there."""
    platform = platforms.load(root, exact=True, environ={})
    facts = Facts(platform, known(root))
    found: list[Finding] = []
    for check in rules.checks().values():
        if asked(check.facts):
            continue
        try:
            results = list(check.function(**facts.arguments(check.facts)))
        except (Absent, Unreadable, Blocked):
            continue
        found += [runner._complete(check, f) for f in results if isinstance(f, Finding)]
    yield facts, found


GROUPS = {
    "python": ("models.py", "main.py", "options.py"),
    "other": (
        "requirements.txt",
        "env",
        "compose.yaml",
        "Dockerfile",
        "pyproject.toml",
        "vite.config.ts",
        "api.ts",
    ),
    "configuration": ("saas-doctor.toml",),
}
"""Which files are changed together: each example is an input for every parser of its group."""


def test_every_file_is_in_one_group() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(PLACES)


@pytest.mark.parametrize("group", GROUPS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(draw=st.data())
def test_mutated_bytes_make_no_check_fail_and_no_edit_that_cannot_be_undone(
    group: str, small: Path, draw: st.DataObject
) -> None:
    for name in GROUPS[group]:
        (small / PLACES[name]).write_bytes(mutated((FILES / name).read_bytes(), draw))
    begun = time.process_time()
    try:
        for facts, found in findings(small):
            assert_places_are_there(found, small)
            assert_edits_can_be_undone(found, facts)
        assert time.process_time() - begun < SECONDS, "a file that takes too long to read"
    except DoctorError:
        # The one file whose errors end the run, in one sentence.
        assert group == "configuration"
    finally:
        for name in GROUPS[group]:
            shutil.copy(FILES / name, small / PLACES[name])


def assert_places_are_there(found: list[Finding], root: Path) -> None:
    for finding in found:
        if finding.place and finding.place.line:
            data = (root / finding.place.path).read_bytes()
            # A carriage return alone ends a line of Python, and none of a Dockerfile; a tab can be the fault.
            ways = (data.splitlines(), data.split(b"\n"))
            number = finding.place.line
            assert any(number <= len(w) and w[number - 1].strip(b" \r") for w in ways), finding


def assert_edits_can_be_undone(found: list[Finding], facts: Facts) -> None:
    plan = plans.make(found, facts)
    for step in plan.steps:
        action = step.action
        if isinstance(action, EditFile):
            result = apply_edits(action.data, action.edits)
            assert apply_edits(result, backward(action.data, action.edits)) == action.data


def backward(data: bytes, edits: tuple[Edit, ...]) -> list[Edit]:
    """The edits that put the former bytes back, at the places they have by then."""
    back: list[Edit] = []
    shift = 0
    for edit in sorted(edits):
        start = edit.start + shift
        back.append(Edit(start, start + len(edit.text), data[edit.start : edit.end]))
        shift += len(edit.text) - (edit.end - edit.start)
    return back
