"""Names and addresses in the settings that lead to a service by more than one way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.facts import lookups
from saas_doctor.model import Status
from saas_doctor.runner import Selection
from tests.faults import Copy, Inject
from tests.faults.names import calls

MakeCopy = Callable[..., Copy]
BOTH = {"localhost": ("::1", "127.0.0.1")}
QUIET = [
    ("http://127.0.0.1:PORT", calls("http://127.0.0.1:PORT")),
    ("IPv6 first, which refuses", calls("http://localhost:PORT", names=BOTH)),
    ("every address", calls("http://127.0.0.5:PORT", "0.0.0.0")),
    ("every address by IPv6", calls("http://[::1]:PORT", "::")),
    (
        "another program behind it",
        calls(
            "http://localhost:PORT", names={"localhost": BOTH["localhost"][::-1]}, stranger="::1"
        ),
    ),
]


@pytest.mark.parametrize(("name", "inject"), QUIET, ids=[name for name, _ in QUIET])
def test_a_way_that_leads_to_the_service_is_not_judged(
    name: str, inject: Inject, make_copy: MakeCopy
) -> None:
    assert name
    copy = make_copy(own=False)
    running = inject(copy)
    assert running is not None
    with running:
        platform = platforms.load(copy.root, exact=True, environ=copy.environ)
        report = runner.run(platform, Selection(("NET408",)), timeout=20)
    verdicts = {r.code: r.status for r in report.results}
    assert verdicts["NET408"] is Status.OK, [f.message for f in report.findings]


def test_the_line_of_the_table_of_hosts_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "hosts"
    table.write_text("# localhost\n127.0.0.1 other\n::1 ip6 localhost # here\n")
    monkeypatch.setattr(lookups, "HOSTS", table)
    assert lookups._line_of("localhost") == f"{table}:3"
    assert lookups._line_of("nobody") == ""
