"""Faults of the compose file."""

from __future__ import annotations

from tests.faults import Fault, Healthy, append, write

COMPOSE = "docker-compose.yml"

ENTRIES = [
    Fault(
        "DOCK601",
        "an open bracket",
        append(COMPOSE, "\nnetworks: [\n"),
        fixed=False,
        target=COMPOSE,
    ),
    Fault(
        "DOCK601", "a tab for blanks", append(COMPOSE, "\nnetworks:\n\tdefault: {}\n"), fixed=False
    ),
    Fault("DOCK601", "binary", write(COMPOSE, b"\x00\xff\x00"), fixed=False),
    Healthy(
        "DOCK601",
        "tags of Compose",
        append(COMPOSE, "\nx-old: !reset null\nx-more: !override []\n"),
    ),
    Healthy("DOCK601", "a comment at the end", append(COMPOSE, "\n# the end")),
]
