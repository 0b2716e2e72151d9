"""One HTML page that needs nothing else: to read, to filter, to print and to pass on."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from saas_doctor import __version__
from saas_doctor.model import Report, Severity
from saas_doctor.report import outline
from saas_doctor.report.printable import printable


def render(report: Report) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return value if hasattr(value, "__html__") else printable(str(value))

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    style, script = ((folder / f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    found = outline.findings(report)
    families = {outline.family(finding.code) for finding, _ in found}
    return environment.get_template("page.html").render(
        report=report,
        outline=outline,
        version=__version__,
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
        findings=found,
        families={key: name for key, name in outline.PARTS.items() if key in families},
        severities={s.value: s.value for s in Severity if report.count_severity(s)},
        undecided=list(outline.undecided(report)),
        ignored=[pair for result in report.results for pair in result.ignored],
    )


def _hash(text: str) -> str:
    """By what a browser knows our own script and style: it runs no others."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
