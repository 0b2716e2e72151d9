"""Faults of what is ignored on purpose."""

from __future__ import annotations

from tests.faults import Fault, Healthy, append, write

MODULE = "backend/shared/database.py"

ENTRIES = [
    Fault(
        "CFG920",
        "a comment that ignores nothing",
        append(MODULE, "\n\nSIZE = 5  # saas-doctor: ignore[SRC204]\n"),
        fixed=False,
    ),
    Fault(
        "CFG920",
        "an entry that ignores nothing",
        write("saas-doctor.toml", '[ignore]\n"SRC2:legacy/**" = "the old part"\n'),
        fixed=False,
        target="SRC2:legacy/**",
    ),
    Healthy(
        "CFG920",
        "a string that only tells of it",
        append(MODULE, '\n\nHELP = """\n# saas-doctor: ignore[SRC204]\n"""\n'),
    ),
    Healthy(
        "CFG920",
        "an entry of what is not asked",
        write("saas-doctor.toml", '[ignore]\n"NET401:8000" = "the proxy of our team"\n'),
    ),
]
