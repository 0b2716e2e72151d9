"""Writes docs/codes, a page a code from the check's docstring, and the configuration's JSON schema.

Run: python docs/generate.py
"""

from __future__ import annotations

from pathlib import Path

from saas_doctor import rules, schema

FOLDER = Path(__file__).with_name("codes")
SCHEMA = Path(__file__).with_name(schema.FILE)


def pages() -> dict[str, str]:
    """Every page's text by its file name."""
    return {"README.md": _index()} | {f"{c}.md": _page(c) for c in rules.checks()}


def _index() -> str:
    lines = ["# Codes", "", "| code | what | fix |", "|---|---|---|"]
    for code, check in rules.checks().items():
        fix = rules.fixes().get(code)
        text = f"{fix.title} ({fix.risk.value})" if fix else ""
        lines.append(f"| [{code}]({code}.md) | {check.title} | {text} |")
    return "\n".join(lines) + "\n"


def _page(code: str) -> str:
    check, fix = rules.checks()[code], rules.fixes().get(code)
    title, _, body = check.document.partition("\n")
    lines = [f"# {code}: {title}", "", f"Severity: {check.severity.value}."]
    if fix:
        other = rules.other_fixes().get(code)
        also = f", otherwise: {other.title} (risk: {other.risk.value})" if other else ""
        lines.append(f"Fix: {fix.title} (risk: {fix.risk.value}){also}.")
    if check.needs:
        links = ", ".join(f"[{need}]({need}.md)" for need in check.needs)
        lines.append(f"Examined when these hold: {links}.")
    lines += ["", body.strip(), ""]
    if check.symptoms:
        lines += ["## Error texts", "", "```"]
        lines += [pattern.pattern for pattern in check.symptoms]
        lines += ["```", ""]
    return "\n".join(lines)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        if old.name not in pages():
            old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    SCHEMA.write_text(schema.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
