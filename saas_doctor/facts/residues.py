"""What uses the attribute `metadata` of a model that has it under another name.

It fails in silence: every declarative class has a `metadata` of SQLAlchemy's own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.constructs import in_doubt
from saas_doctor.facts.model_config import config_of
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Class, Objects, Thing
from saas_doctor.facts.scopes import Function, Scope, inside
from saas_doctor.facts.tables import COLUMNS, Tables
from saas_doctor.model import Place

# What one does with the MetaData of a class: that is meant.
_OF_METADATA = (
    *("bind", "clear", "create_all", "drop_all", "info", "is_bound", "naming_convention"),
    *("reflect", "remove", "schema", "sorted_tables", "tables"),
)
_COLUMN = re.compile(
    rb"\b(?:Column|mapped_column)\(\s*(?:name\s*=\s*)?[\"']metadata[\"']|\bname\s*=\s*[\"']metadata[\"']"
    rb"|^[ \t]+(?!metadata\b)\w*meta_?data\w*[ \t]*[:=][^\n]*(?:Column\(|mapped_column\(|Mapped\[)",
    re.M,
)
_NAME = re.compile(r"meta_?data", re.I)
_USE = re.compile(
    rb"\bmetadata[ \t]*=(?!=)|\.metadata\b(?!\.(?:%s)\b)|\*\*[\w.]+\.(?:dict|model_dump)\(\)"
    % b"|".join(name.encode() for name in _OF_METADATA)
)
_FIELD = re.compile(rb"^[ \t]+metadata[ \t]*:", re.M)
_HEAD = re.compile(rb"\n?class[ \t]+(\w+)")
_QUERIES = {"filter", "where", "having", "order_by", "group_by", "select", "with_only_columns"}
_ROUTES = {"get", "post", "put", "patch", "delete", "api_route", "head", "options"}


class Residue(Struct, frozen=True):
    """The uses of `metadata` that a model no longer answers: each place, with what happens there."""

    module: Module
    model: str
    attribute: str
    uses: tuple[tuple[Place, str], ...]


class Residues(Fact, frozen=True):
    """The uses of a renamed attribute `metadata` that were left behind."""

    tables: Tables
    models: PydanticModels
    objects: Objects

    limit = 20.0

    @classmethod
    def read(cls, tables: Tables, models: PydanticModels, objects: Objects) -> Residues:
        return cls(tables, models, objects)

    @cached_property
    def found(self) -> tuple[Residue, ...]:
        """One entry for each model that has such uses."""
        renamed = list(self._renamed())
        classes: dict[int, int] = {}
        owners: dict[str, set[Module]] = {}
        for index, (module, node, _) in enumerate(renamed):
            for where, heir in self.tables.source.heirs(module, node):
                classes.setdefault(id(heir), index)
                owners.setdefault(heir.name, set()).add(where)
        uses: dict[int, list[tuple[Place, str]]] = {}
        for module in self._likely(owners) if renamed else ():
            for scope in module.scopes:
                for index, place, effect in self._in(scope, classes):
                    uses.setdefault(index, []).append((place, effect))
        return tuple(
            Residue(*self._named(renamed[index]), tuple(dict.fromkeys(places)))
            for index, places in sorted(uses.items())
        )

    def _likely(self, owners: dict[str, set[Module]]) -> Iterator[Module]:
        """The modules that name such a model, and `metadata` or a schema with a field of that name."""
        source = self.tables.source
        schemas = {
            name for module in source.mentioning("metadata") for name in _with_field(module.data)
        }
        for module in source.mentioning(*owners):
            uses = _USE.search(module.data) or any(schema in module.data for schema in schemas)
            named = (source.may_use(module, o, name) for name, of in owners.items() for o in of)
            if uses and any(named):
                yield module

    @staticmethod
    def _named(renamed: tuple[Module, ast.ClassDef, str]) -> tuple[Module, str, str]:
        module, node, attribute = renamed
        return module, node.name, attribute

    def _renamed(self) -> Iterator[tuple[Module, ast.ClassDef, str]]:
        """The models with a column `metadata`, or of such a name, under another attribute name."""
        for module in self.tables.source.mentioning("sqlalchemy", "sqlmodel", "Column", "Mapped"):
            if b"meta" not in module.data or not _COLUMN.search(module.data):
                continue
            for node in module.nodes:
                if isinstance(node, ast.ClassDef):
                    attribute = self._attribute_of(module, node)
                    if attribute and self._is_mapped(module, node):
                        yield module, node, attribute

    def _attribute_of(self, module: Module, node: ast.ClassDef) -> str:
        """The attribute that is meant: of a column called `metadata`, else one of a like name."""
        named, alike = "", ""
        for part in node.body:
            if isinstance(part, Function) and part.name == "metadata":
                return ""
            if not isinstance(part, ast.Assign | ast.AnnAssign):
                continue
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = [t.id for t in targets if isinstance(t, ast.Name)]
            if "metadata" in names:
                return ""
            value = part.value or ast.Constant(None)
            if names and any(self._is_column(module, n) for n in ast.walk(value)):
                named = names[0]
            elif names and _NAME.search(names[0]) and self.tables.is_mapped(module, part):
                alike = alike or names[0]
        return named or alike

    def _is_column(self, module: Module, node: ast.AST) -> bool:
        """Whether a node is `Column("metadata", ...)`."""
        if not isinstance(node, ast.Call) or self.tables.kind(module, node.func) not in COLUMNS:
            return False
        named = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "name")]
        return any(isinstance(n, ast.Constant) and n.value == "metadata" for n in named)

    def _is_mapped(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether the class, or one that derives from it, is mapped, with a constructor that says nothing."""
        if any(self.models.has(*cls, "__init__") for cls in self.tables.source.heirs(module, node)):
            return False
        bases = self.tables.source.ancestry(module, node)
        if any("MappedAsDataclass" in base or "dataclass" in base for base in bases):
            return False  # refuses what it does not know
        return any(self.tables.is_table(*cls) for cls in self.tables.source.heirs(module, node))

    # The uses.

    def _in(self, scope: Scope, classes: dict[int, int]) -> Iterator[tuple[int, Place, str]]:
        for node in scope.nodes:
            if isinstance(node, ast.Call):
                found = self._in_call(scope, node, classes)
            elif isinstance(node, ast.Attribute) and node.attr == "metadata":
                found = self._of_attribute(scope, node, classes)
            elif isinstance(node, Function):
                found = self._of_route(scope, node, classes)
            else:
                continue
            yield from (f for f in found if not in_doubt(scope.module, node))

    def _in_call(
        self, scope: Scope, call: ast.Call, classes: dict[int, int]
    ) -> Iterator[tuple[int, Place, str]]:
        place = scope.module.place(call)
        made = self.objects.class_of(scope, call.func)
        if made and id(made[1]) in classes:
            index = classes[id(made[1])]
            for keyword in call.keywords:
                if keyword.arg == "metadata":
                    yield index, scope.module.place(keyword.value), "what is given is not stored"
                elif keyword.arg is None and self._holds_metadata(scope, keyword.value):
                    yield index, scope.module.place(keyword.value), "its `metadata` is not stored"
        if not isinstance(call.func, ast.Attribute):
            return
        method = call.func.attr
        if method == "filter_by" and any(k.arg == "metadata" for k in call.keywords):
            thing = self.objects.thing(scope, call.func.value)
            if thing and thing.kind == "query" and id(thing.cls) in classes:
                yield classes[id(thing.cls)], place, "no row is found"
        if method in ("model_validate", "from_orm") and len(call.args) == 1:
            schema = self.objects.class_of(scope, call.func.value)
            thing = self.objects.thing(scope, call.args[0])
            if schema and thing and thing.kind == "one":
                yield from self._read_by(schema, thing, classes)

    def _holds_metadata(self, scope: Scope, spread: ast.expr) -> bool:
        """Whether `**data.model_dump()` surely has a key `metadata`."""
        if not isinstance(spread, ast.Call) or not isinstance(spread.func, ast.Attribute):
            return False
        if spread.func.attr not in ("dict", "model_dump") or spread.args or spread.keywords:
            return False
        thing = self.objects.thing(scope, spread.func.value)
        if thing is None or thing.kind != "one":
            return False
        cls = (thing.module, thing.cls)
        return self.models.inherits(*cls, spread.func.attr) and self._field(cls) is not None

    def _of_attribute(
        self, scope: Scope, node: ast.Attribute, classes: dict[int, int]
    ) -> Iterator[tuple[int, Place, str]]:
        place = scope.module.place(node)
        outer = next(scope.module.around(node), None)
        if isinstance(outer, ast.Attribute) and outer.attr in _OF_METADATA:
            return
        cls = self.objects.class_of(scope, node.value)
        if cls is not None:
            if id(cls[1]) in classes and _in_query(outer, node):
                yield classes[id(cls[1])], place, "it compares or takes SQLAlchemy's own MetaData"
            return
        thing = self.objects.thing(scope, node.value)
        if thing and thing.kind == "one" and id(thing.cls) in classes:
            stored = not isinstance(node.ctx, ast.Load)
            effect = "what is set is not stored" if stored else "it is SQLAlchemy's own MetaData"
            yield classes[id(thing.cls)], place, effect

    def _of_route(
        self,
        scope: Scope,
        function: ast.FunctionDef | ast.AsyncFunctionDef,
        classes: dict[int, int],
    ) -> Iterator[tuple[int, Place, str]]:
        """What a route returns, where a schema reads it: that of `response_model` or the annotation."""
        calls = [d for d in function.decorator_list if isinstance(d, ast.Call)]
        routes = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in _ROUTES]
        if not routes:
            return
        given = [k.value for c in routes for k in c.keywords if k.arg == "response_model"]
        answer = given[0] if given else function.returns
        inner = inside(scope.module, function)
        schemas = [
            schema
            for n in (ast.walk(answer) if answer is not None else ())
            if isinstance(n, ast.Name | ast.Attribute)
            if (schema := self.objects.class_of(scope, n)) and self.models.is_model(*schema)
        ]
        for node in inner.nodes if len(schemas) == 1 else ():
            if isinstance(node, ast.Return) and node.value is not None:
                thing = self.objects.thing(inner, node.value)
                if thing and thing.kind in ("one", "many"):
                    yield from self._read_by(schemas[0], thing, classes)

    def _read_by(
        self, schema: Class, thing: Thing, classes: dict[int, int]
    ) -> Iterator[tuple[int, Place, str]]:
        """The field `metadata` of a schema that an object of the model is turned into."""
        found = (
            self._field(schema)
            if id(thing.cls) in classes and self.models.is_model(*schema)
            else None
        )
        if found is not None:
            module, field = found
            yield classes[id(thing.cls)], module.place(field), "it reads SQLAlchemy's own MetaData"

    def _field(self, cls: Class) -> tuple[Module, ast.AnnAssign] | None:
        """The field of a Pydantic model that is called `metadata`, inside and outside."""
        lineage = self.models.source.lineage(*cls)
        keys = {name for c in lineage for name in config_of(self.models.source, *c).names}
        if "alias_generator" in keys:
            return None
        for module, node in lineage:
            for part in node.body:
                if isinstance(part, ast.AnnAssign) and dotted_name(part.target) == "metadata":
                    aliased = isinstance(part.value, ast.Call) and any(
                        k.arg is None or "alias" in k.arg for k in part.value.keywords
                    )
                    quoted = "alias" in ast.unparse(part.annotation)
                    return None if aliased or quoted else (module, part)
        return None


def _with_field(data: bytes) -> Iterator[bytes]:
    """The classes whose text, up to the next class, has an annotation of `metadata`."""
    for field in _FIELD.finditer(data):
        head = _HEAD.match(data, max(0, data.rfind(b"\nclass ", 0, field.start())))
        if head:
            yield head.group(1)


def _in_query(outer: ast.AST | None, node: ast.Attribute) -> bool:
    """Whether a class's attribute is compared, or given to a query."""
    if isinstance(outer, ast.Compare):
        return not any(isinstance(op, ast.Is | ast.IsNot) for op in outer.ops)
    if isinstance(outer, ast.Subscript | ast.Attribute):
        return True
    if not isinstance(outer, ast.Call) or node not in outer.args:
        return False
    return dotted_name(outer.func).rpartition(".")[2] in _QUERIES or (
        isinstance(outer.func, ast.Attribute) and outer.func.attr in _QUERIES
    )
