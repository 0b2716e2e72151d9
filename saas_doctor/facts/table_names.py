"""The names of the tables that the platform's models declare."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.layout import NEVER_DUE
from saas_doctor.facts.source import Source
from saas_doctor.facts.tables import Tables
from saas_doctor.model import Absent, Place


class TableNames(Fact, frozen=True):
    """The tables of the declarative models that name theirs plainly and give it no schema.

    None of a platform without Python source.
    """

    places: dict[str, Place]
    source: Source | None = None

    limit = 20.0

    @classmethod
    def read(cls, facts: Facts) -> TableNames:
        try:
            tables = facts.get(Tables)
        except Absent:
            return cls({})
        found: dict[str, Place] = {}
        for module in tables.source.mentioning("__tablename__"):
            if NEVER_DUE & set(Path(module.name).parts):
                continue
            for node in module.nodes:
                if isinstance(node, ast.ClassDef) and tables.is_table(module, node):
                    for name, value in _names(node):
                        found.setdefault(name, module.place(value))
        return cls(found, tables.source)

    @property
    def partial(self) -> str:
        return self.source.partial if self.source else ""

    def in_code(self, schema: str) -> bool:
        """Whether the platform's code names a schema where it says where its tables are."""
        name = re.escape(schema.encode())
        says = re.compile(
            rb"(?i:schema\w*)[\"']?\s*(?::\s*str\s*)?[=:]\s*(?:\w+\()?\s*[\"']" + name + rb"[\"']"
            rb"|\bsearch_path\b[^\n]{0,60}\b" + name + rb"\b|CreateSchema\(\s*[\"']" + name
        )
        modules = self.source.mentioning(schema) if self.source else []
        return any(says.search(module.data) for module in modules)


def _names(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    values = {
        target.id: statement.value
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value
        for target in _targets(statement)
        if isinstance(target, ast.Name)
    }
    named = values.get("__tablename__")
    other = any(
        isinstance(part, ast.Constant) and part.value == "schema"
        for part in ast.walk(values.get("__table_args__", ast.Constant(None)))
    )
    if isinstance(named, ast.Constant) and isinstance(named.value, str) and not other:
        yield named.value, named


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]
