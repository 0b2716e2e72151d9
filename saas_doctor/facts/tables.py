"""The declarative models of SQLAlchemy in the source, and those that bind a name SQLAlchemy keeps for itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.constructs import in_doubt
from saas_doctor.facts.models import SQLMODEL_BASES, is_certain
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Class, expression_of
from saas_doctor.facts.scopes import Function
from saas_doctor.facts.source import Source
from saas_doctor.facts.table_edits import renaming, snake
from saas_doctor.facts.table_uses import Candidates, candidates, last_name, likely_uses
from saas_doctor.model import Place

# How a declarative base comes about, by every module it is imported from.
_DECLARATIVE = re.compile(
    r"@?sqlalchemy\.(orm|orm\.decl_api|ext\.declarative|ext\.declarative\.api)\."
    r"(DeclarativeBase|DeclarativeBaseNoMeta|declarative_base\(\)|as_declarative"
    r"|registry\(\)\.(generate_base\(\)|mapped|mapped_as_dataclass|as_declarative_base))"
)
_ASYNCIO = re.compile(r"(?:sqlalchemy|sqlmodel)\.ext\.asyncio\b")
COLUMNS = {"Column", "mapped_column"}
_ATTRIBUTES = COLUMNS | {
    "relationship",
    "synonym",
    "deferred",
    "column_property",
    "composite",
    "association_proxy",
    "query_expression",
}
_LITERALS = ast.Constant | ast.Dict | ast.List | ast.Tuple | ast.Set
Binding = ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.AsyncFunctionDef


class Reserved(Struct, frozen=True):
    """A model's attribute of a reserved name, the edits that rename it, and its other uses.

    `edits` is empty where the form does not allow to keep the column. `certain`: whether it is
    bound in any case, and not in a branch. `hidden_in` is a class of which a mixin's attribute is
    passed over, since the base comes before the mixin: its table lacks the column. `is_of_mixin`:
    whether it is a property or the like of a mixin, which SQLAlchemy 2.1 takes in silence.
    """

    module: Module
    model: str
    new: str
    text: str
    place: Place
    edits: tuple[Edit, ...] = ()
    uses: tuple[str, ...] = ()
    certain: bool = True
    hidden_in: str = ""
    is_of_mixin: bool = False


class Tables(Fact, frozen=True):
    """The declarative models of the platform; each question is looked up when it is asked."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> Tables:
        return cls(source)

    @cached_property
    def reserved(self) -> tuple[Reserved, ...]:
        """The models, and mixins of models, with an attribute called `metadata`."""
        return tuple(self._bound("metadata"))

    @cached_property
    def registries(self) -> tuple[Reserved, ...]:
        """Those with an attribute called `registry`."""
        return tuple(self._bound("registry"))

    @cached_property
    def asyncio(self) -> Place | None:
        """Where SQLAlchemy's asyncio module is imported, which needs greenlet."""
        return next(self._asyncio(), None)

    def _asyncio(self) -> Iterator[Place]:
        for module in self.source.mentioning("sqlalchemy.ext.asyncio", "sqlmodel.ext.asyncio"):
            for node in module.nodes:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [module.origin(node)] if isinstance(node, ast.ImportFrom) else []
                if any(_ASYNCIO.match(name) for name in names) and not in_doubt(module, node):
                    assert isinstance(node, ast.Import | ast.ImportFrom)
                    yield module.place(node)

    def is_declarative(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether a class is proven to derive from a declarative base, or is decorated as such."""
        return any(_DECLARATIVE.fullmatch(name) for name in self.source.ancestry(module, node))

    def is_sqlmodel(self, module: Module, node: ast.ClassDef) -> bool:
        return bool(self.source.ancestry(module, node) & SQLMODEL_BASES)

    def is_table(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether a class is mapped to a table: not an abstract one, not a mere schema of SQLModel."""
        if self.is_declarative(module, node):
            return not _sets(node, "__abstract__")
        tables = (k.value for k in node.keywords if k.arg == "table")
        wanted = any(isinstance(value, ast.Constant) and value.value for value in tables)
        return wanted and self.is_sqlmodel(module, node)

    def kind(self, module: Module, function: ast.expr) -> str:
        """Which of SQLAlchemy's attribute makers a call's function is; nothing for another's."""
        name = dotted_name(function)
        own = self.source.definition(module, name) if name else None
        if not name or (own and own[1] not in own[0].values):
            return ""  # a function or a class of the platform
        last = self.source.made_by(module, name).rpartition(".")[2]
        return last if last in _ATTRIBUTES and is_certain(self.source, module, name) else ""

    # A reserved name.

    def _bound(self, name: str) -> Iterator[Reserved]:
        # What a class's own binding looks like, and an argument on a line of its own does not; it
        # spares the parsing of most files.
        text = re.compile(
            rf"^[ \t]+{name}(?:[ \t]*:|[ \t]+=|=(?![^\n]*,[ \t]*$))|[;:][ \t]*{name}[ \t]*=(?!=)"
            rf"|\bdef[ \t]+{name}\b".encode(),
            re.M,
        )
        for module in self.source.mentioning("sqlalchemy", "sqlmodel", "Column", "Mapped"):
            if name.encode() in module.data and text.search(module.data):
                for node in module.nodes:
                    if isinstance(node, ast.ClassDef):
                        bindings = _bindings(module, node, name)
                        found = (self._judged(module, node, b, certain=c) for b, c in bindings)
                        yield from [one for one in found if one][:1]

    def _judged(
        self, module: Module, node: ast.ClassDef, binding: Binding, *, certain: bool
    ) -> Reserved | None:
        if self.is_sqlmodel(module, node):
            field = (
                isinstance(binding, ast.AnnAssign) and last_name(binding.annotation) != "ClassVar"
            )
            if not field or not self._tables(module, node):
                return None
            return self._reserved(module, node, binding, certain=certain)
        mapped = self.is_mapped(module, binding)
        declarative = self.is_declarative(module, node)
        is_metadata = _bound_name(binding) == "metadata"
        # Looking for what derives from a class takes time: only where it may be a mixin.
        likely = declarative or b"sqlalchemy" in module.data
        if not likely or not (mapped or (is_metadata and _is_plain(binding))):
            return None
        if mapped and not declarative and _is_mere_annotation(binding):
            return None  # of a mixin it is passed over
        tables = self._tables(module, node)
        if not mapped:
            # SQLAlchemy asks it for its schema where it makes the table, and only there.
            tables = [table for table in tables if self._makes_table(*table)]
        if any(self._gets_it(*table, node) for table in tables):
            return self._reserved(module, node, binding, certain=certain)
        if not mapped or not is_metadata or not tables:
            return None
        return self._reserved(module, node, binding, certain=certain, hidden=tables[0][1].name)

    def _tables(self, module: Module, node: ast.ClassDef) -> list[Class]:
        """The mapped class itself, or those mapped that derive from an abstract one or a mixin."""
        own = [(module, node)] if self.is_table(module, node) else []
        return own or [heir for heir in self.source.heirs(module, node) if self.is_table(*heir)]

    def is_mapped(self, module: Module, binding: Binding) -> bool:
        """Whether it binds what SQLAlchemy maps: a column, a relationship, a declared attribute."""
        if isinstance(binding, Function):
            returned = (n.value for n in ast.walk(binding) if isinstance(n, ast.Return))
            declared = any("declared_attr" in dotted_name(d) for d in binding.decorator_list)
            return declared and any(self._is_attribute(module, value) for value in returned)
        if isinstance(binding, ast.AnnAssign) and _is_mapped_type(binding.annotation):
            return True
        return self._is_attribute(module, binding.value)

    def _is_attribute(self, module: Module, value: ast.expr | None) -> bool:
        return isinstance(value, ast.Call) and bool(self.kind(module, value.func))

    def _makes_table(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether a class has a table of its own, made from its attributes."""
        declared = any(
            isinstance(part, Function) and part.name == "__tablename__"
            for _, cls in self.source.lineage(module, node)
            for part in cls.body
        )
        return (declared or _sets(node, "__tablename__")) and not _sets(node, "__table__")

    def _gets_it(self, module: Module, node: ast.ClassDef, owner: ast.ClassDef) -> bool | None:
        """Whether a class has the attribute from `owner`, and not from a base of SQLAlchemy's.

        The first of its bases that has it counts; None where none has.
        """
        if node is owner:
            return True
        for base in node.bases:
            local = self.source.class_of(module, dotted_name(base))
            if local is None:
                if self._is_declared(module, base):
                    return False
            elif local[1] is not node:
                found = self._gets_it(*local, owner)
                if found is not None:
                    return found
        return (
            False if any(self._is_declared(module, d, "@") for d in node.decorator_list) else None
        )

    def _is_declared(self, module: Module, expression: ast.expr, mark: str = "") -> bool:
        """Whether a base, or with the mark a decorator, is one of SQLAlchemy's declarative ones."""
        function = expression.func if isinstance(expression, ast.Call) else expression
        made = self.source.made_by(module, dotted_name(function))
        called = "()" if function is not expression and not mark else ""
        return bool(_DECLARATIVE.fullmatch(f"{mark}{made}{called}"))

    def _reserved(
        self,
        module: Module,
        node: ast.ClassDef,
        binding: Binding,
        *,
        certain: bool,
        hidden: str = "",
    ) -> Reserved:
        name = _bound_name(binding)
        new = f"{snake(node.name)}_{name}"
        lines = module.data.splitlines()
        text = lines[binding.lineno - 1].decode("utf-8", "replace").strip()
        place = Place(module.name, binding.lineno, binding.col_offset + 1)
        heirs = {cls.name for _, cls in self.source.heirs(module, node)}
        uses: tuple[str, ...] = ()
        if name == "metadata":
            uses = tuple(likely_uses(self.source, self._named, heirs, binding))
        edits: list[Edit] = []
        target, call = _target(binding), None if isinstance(binding, Function) else binding.value
        free = certain and not hidden and not self._is_taken(module, node, new)
        if free and target and isinstance(call, ast.Call):
            is_column = self.kind(module, call.func) in COLUMNS
            edits = renaming(module, node, target, call, new) if is_column else []
        mixin = not self.is_mapped(module, binding) and not self.is_declarative(module, node)
        return Reserved(
            module, node.name, new, text, place, tuple(edits), uses, certain, hidden, mixin
        )

    @cached_property
    def _named(self) -> Candidates:
        return candidates(self.source)

    def _is_taken(self, module: Module, node: ast.ClassDef, new: str) -> bool:
        """Whether the new name stands in the class, or in one above or below it."""
        family = [*self.source.lineage(module, node), *self.source.heirs(module, node)]
        return any(isinstance(n, ast.Name) and n.id == new for _, c in family for n in ast.walk(c))


def _bindings(module: Module, node: ast.ClassDef, name: str) -> Iterator[tuple[Binding, bool]]:
    """What binds a name in a class's body, and whether it does so in any case: not in a branch."""
    queue: list[tuple[ast.AST, bool]] = [(part, True) for part in node.body]
    while queue:
        part, certain = queue.pop(0)
        if isinstance(part, Binding):
            if _bound_name(part) == name and id(part) not in module.guarded:
                yield part, certain
        elif not isinstance(part, ast.ClassDef | ast.expr):
            queue += [(inner, False) for inner in ast.iter_child_nodes(part)]


def _bound_name(binding: Binding) -> str:
    target = _target(binding)
    return binding.name if isinstance(binding, Function) else target.id if target else ""


def _target(binding: Binding) -> ast.Name | None:
    """The one name that is assigned."""
    targets = binding.targets if isinstance(binding, ast.Assign) else []
    targets = [binding.target] if isinstance(binding, ast.AnnAssign) else targets
    only = targets[0] if len(targets) == 1 else None
    return only if isinstance(only, ast.Name) else None


def _is_plain(binding: Binding) -> bool:
    """Whether it binds what is surely no MetaData: a function, a property, a literal."""
    if isinstance(binding, Function):
        return not any("declared_attr" in dotted_name(d) for d in binding.decorator_list)
    none = isinstance(binding.value, ast.Constant) and binding.value.value is None
    return isinstance(binding.value, _LITERALS) and not none


def _is_mere_annotation(binding: Binding) -> bool:
    return isinstance(binding, ast.AnnAssign) and binding.value is None


def _is_mapped_type(annotation: ast.expr) -> bool:
    """Whether an annotation, quoted or not, is `Mapped[...]`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        quoted = expression_of(annotation.value)
        return quoted is not None and _is_mapped_type(quoted)
    return isinstance(annotation, ast.Subscript) and last_name(annotation) == "Mapped"


def _sets(node: ast.ClassDef, name: str) -> bool:
    """Whether a class's own body sets an attribute, to something other than False."""
    for part in node.body:
        if isinstance(part, ast.Assign | ast.AnnAssign) and _bound_name(part) == name:
            return not (isinstance(part.value, ast.Constant) and part.value.value is False)
    return False
