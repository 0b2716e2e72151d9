"""The settings classes of the source, and where they are made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import SETTINGS, Class
from saas_doctor.facts.runs import is_aside, surely_runs
from saas_doctor.facts.setting_fields import SettingsClass, settings_class
from saas_doctor.facts.source import Source
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Place

_OF_VERSION_1 = {"pydantic.BaseSettings", "pydantic.env_settings.BaseSettings"}
_HEAD = re.compile(rb"\nclass[ \t]+(\w+)[ \t]*\(([^)]*)\)")
_BASE = re.compile(rb"\b\w+\b(?![.=])")


class SettingsClasses(Fact, frozen=True):
    """The settings classes of the platform's source; looked up when they are asked for."""

    source: Source
    pydantic_2: bool | None

    limit = 20.0

    @classmethod
    def read(cls, source: Source, versions: Versions) -> SettingsClasses:
        return cls(source, versions.at_least("pydantic", "2"))

    @cached_property
    def found(self) -> tuple[SettingsClass, ...]:
        """Those whose version of Pydantic is the one there is."""
        classes = [self._read(*cls) for cls in self._all()]
        return tuple(cls for cls in classes if cls is not None)

    def _all(self) -> list[Class]:
        direct = [
            (module, cls)
            for module in self.source.mentioning("BaseSettings")
            for cls in module.classes.values()
            if self.source.ancestry(module, cls) & SETTINGS
        ]
        found = {id(cls): (module, cls) for module, cls in direct}
        queue = list(direct)
        while queue:
            parent = queue.pop()
            for heir in self._heirs(parent[1]):
                if id(heir[1]) not in found:
                    found[id(heir[1])] = heir
                    queue.append(heir)
        return list(found.values())

    @cached_property
    def _by_base(self) -> Mapping[str, list[tuple[Module, str]]]:
        """The classes by the last part of each base's name, from the text: parsing all would be slow."""
        found: dict[str, list[tuple[Module, str]]] = {}
        for module in self.source.modules:
            for name, bases in _HEAD.findall(module.data):
                for base in _BASE.findall(bases):
                    found.setdefault(base.decode(), []).append((module, name.decode()))
        return found

    def _heirs(self, parent: ast.ClassDef) -> Iterator[Class]:
        for module, name in self._by_base.get(parent.name, ()):
            cls = module.classes.get(name)
            if cls is not None and cls is not parent:
                found = (self.source.class_of(module, dotted_name(base)) for base in cls.bases)
                if any(base and base[1] is parent for base in found):
                    yield module, cls

    def _read(self, module: Module, node: ast.ClassDef) -> SettingsClass | None:
        ancestry = self.source.ancestry(module, node)
        if ancestry & _OF_VERSION_1:
            if self.pydantic_2 is not False:
                return None  # another check says that Pydantic 2 has no such class
            version = 1
        else:
            version = 1 if "pydantic.v1.BaseSettings" in ancestry else 2
        found = settings_class(self.source, version, module, node)
        # `Settings.model_config["extra"] = "ignore"`, behind the class.
        changed = any(self.source.mentioning(f"{node.name}.model_config", f"{node.name}.Config."))
        return replace(found, doubt="its configuration is changed later") if changed else found

    def made(self, cls: SettingsClass) -> Place | None:
        """Where an object of the class is surely made, without arguments, when the code is used."""
        for module in self.source.mentioning(f"{cls.name}("):
            if is_aside(module):
                continue
            for call in module.nodes:
                if (
                    isinstance(call, ast.Call)
                    and not call.args
                    and not call.keywords
                    and dotted_name(call.func).rpartition(".")[2] == cls.name
                ):
                    found = self.source.class_of(module, dotted_name(call.func))
                    if found and found[1] is cls.node and surely_runs(self.source, module, call):
                        return module.place(call)
        return None
