"""The platform's compose file."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.compose import ComposeText
from saas_doctor.model import Finding
from saas_doctor.rules import check


@check(
    "DOCK601",
    symptoms=(
        r"yaml: (line (?P<line>\d+): )?.*(did not find expected|mapping values are not allowed)",
        r"ERROR: yaml\.(parser|scanner)\.\w+Error",
    ),
)
def compose_file_is_not_yaml(compose: ComposeText) -> Iterator[Finding]:
    """The compose file can't be parsed.

    Nothing that Compose does works, and what the doctor would find in it (ports, services) is not
    known.

    **Detected** by a YAML parser; what the file says is not judged.
    **Silent** about Compose's own tags, anchors and merges, and where there is no compose file.
    """
    if compose.error:
        yield Finding(
            f"{compose.name} can't be parsed: {compose.error}",
            looked_at=compose.name,
            found=compose.error,
            wanted="YAML",
            target=compose.name,
            place=compose.place,
            next_step=f"correct {compose.place}",
        )
