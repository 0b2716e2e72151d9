"""Before a plan is shown, the installer is asked what it would choose; nothing is changed by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from saas_doctor import plan as plans
from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.actions import Conflict, resolving
from saas_doctor.actions.packages import InstallPackages
from saas_doctor.facts import Facts
from saas_doctor.plan import Plan
from saas_doctor.runner import Selection
from tests.faults import Copy, append, replace, uninstall
from tests.testbed.world import World

REQUIREMENTS = "backend/requirements.txt"
MakeCopy = Callable[..., Copy]


def planned(copy: Copy, *codes: str) -> Plan:
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    facts = Facts(platform)
    report = runner.run(platform, Selection(select=codes, live=False), facts=facts, timeout=30)
    return plans.rehearse(plans.make(report.findings, facts), facts)


def test_the_plan_tells_what_would_change_and_changes_nothing(make_copy: MakeCopy) -> None:
    copy = make_copy(True)
    uninstall("ecdsa", "python-jose")(copy)
    before = World.of(copy)
    (step,) = planned(copy, "PKG301").steps
    assert "ecdsa" in step.action.preview()
    assert "changes: " in step.action.preview()
    assert World.of(copy).differences(before) == []


def test_requirements_that_nothing_fits_wait_with_the_resolver_s_sentence(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy(True)
    uninstall("python-jose")(copy)
    append(REQUIREMENTS, "starlette==0.27.0\n")(copy)
    plan = planned(copy, "PKG301")
    assert plan.steps == []
    assert {f.code for f, _ in plan.waiting} == {"PKG301"}
    assert "starlette==0.27.0" in plan.waiting[0][1]
    assert "\n" not in plan.waiting[0][1]


def test_the_edited_requirements_are_resolved_and_not_the_old_ones(make_copy: MakeCopy) -> None:
    copy = make_copy(True)
    replace(REQUIREMENTS, "psycopg2-binary>=2.9.10,<3", "psycopg2-binary==2.9.3")(copy)
    append(REQUIREMENTS, "-r more.txt\n")(copy)
    copy.path("backend/more.txt").write_text("redis>=5\n")
    plan = planned(copy, "PKG310")
    (install,) = (s.action for s in plan.steps if isinstance(s.action, InstallPackages))
    assert install.note == "changes: nothing"


def test_without_the_index_the_plan_says_that_it_was_not_resolved(make_copy: MakeCopy) -> None:
    copy = make_copy(True)
    uninstall("python-jose")(copy)
    nowhere = "http://127.0.0.1:9/simple"
    copy.environ |= {
        "UV_DEFAULT_INDEX": nowhere, "UV_INDEX_URL": nowhere, "UV_CACHE_DIR": str(copy.root / "none"),
        "UV_HTTP_RETRIES": "0", "UV_NO_CONFIG": "1",
    }  # fmt: skip
    for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        copy.environ.pop(name, None)
    (step,) = planned(copy, "PKG301").steps
    assert "not resolved beforehand: the package index is not reached" in step.action.preview()


def test_a_resolver_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "LIMIT", 0.2)
    with pytest.raises(resolving.NotResolved, match=r"no answer within 0\.2 s"):
        resolving.resolve(["sleep", "10"], tmp_path, os.environ)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "  × No solution found when resolving dependencies:\n"
            "  ╰─▶ Because you require a==1 and a==2, we can conclude that your\n"
            "      requirements are unsatisfiable.\n",
            "Because you require a==1 and a==2, we can conclude that your requirements are "
            "unsatisfiable.",
        ),
        (
            "ERROR: Cannot install a==1 and a==2 because these package versions have conflicting "
            "dependencies.\nERROR: ResolutionImpossible: for help visit x\n",
            "Cannot install a==1 and a==2 because these package versions have conflicting "
            "dependencies. ERROR: ResolutionImpossible: for help visit x",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement a==9 (from versions: 1)\n"
            "ERROR: No matching distribution found for a==9\n",
            "Could not find a version that satisfies the requirement a==9 (from versions: 1) "
            "ERROR: No matching distribution found for a==9",
        ),
    ],
)
def test_a_refusal_is_told_in_the_resolver_s_words(
    tmp_path: Path, said: str, sentence: str
) -> None:
    with pytest.raises(Conflict) as refused:
        resolving.resolve(["sh", "-c", f"printf '%s' \"{said}\"; exit 1"], tmp_path, os.environ)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "said",
    [
        "error: Failed to fetch: `https://x.invalid/simple/a/`\n",
        "WARNING: Retrying (Retry(total=4)) after connection broken\n"
        "ERROR: No matching distribution found for a\n",
    ],
)
def test_an_index_that_is_not_reached_is_no_refusal(tmp_path: Path, said: str) -> None:
    with pytest.raises(resolving.NotResolved):
        resolving.resolve(["sh", "-c", f"echo '{said}'; exit 1"], tmp_path, os.environ)
