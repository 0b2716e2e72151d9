"""The source index, what is proven from it, and the edits made in it."""

from __future__ import annotations

import ast
import gc
import os
import py_compile
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from saas_doctor import platform as platforms
from saas_doctor import rules
from saas_doctor.facts import syntax as syntax_module
from saas_doctor.facts.changed import ChangedFields
from saas_doctor.facts.deprecated import StillTaken
from saas_doctor.facts.interpreter import Interpreter, WantedPython
from saas_doctor.facts.layout import Layout
from saas_doctor.facts.model_config import ModelConfigs
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import Module
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.refused import Refused
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.residues import Residues
from saas_doctor.facts.source import MAXIMUM, Source
from saas_doctor.facts.syntax import Broken, Syntax
from saas_doctor.facts.tables import Tables
from saas_doctor.facts.versions import Versions, reaches
from saas_doctor.model import Absent, Blocked, Finding, Severity, Undecided
from saas_doctor.platform import Platform
from tests.testbed.pythons import python_for
from tests.trees import MakeTree, findings, fixed, source_of

# The index.


def test_environments_caches_and_foreign_folders_are_not_indexed(tree: MakeTree) -> None:
    platform = tree(
        {
            "app/main.py": "x = 1",
            ".venv/lib/a.py": "",
            "myenv/pyvenv.cfg": "",
            "myenv/b.py": "",
            "node_modules/c.py": "",
            "app/__pycache__/d.py": "",
            "build/e.py": "",
            ".saas-doctor/f.py": "",
        }
    )
    assert [m.name for m in source_of(platform).modules] == ["backend/app/main.py"]


def test_linked_folders_fifos_and_huge_files_are_passed_over(tree: MakeTree) -> None:
    platform = tree({"app/main.py": "", "app/huge.py": b"#" * (MAXIMUM + 1)})
    os.symlink(platform.path("backend"), platform.path("backend/loop"))
    os.mkfifo(platform.path("backend/pipe.py"))
    assert [m.name for m in source_of(platform).modules] == ["backend/app/main.py"]


def test_a_platform_without_source_has_nothing_to_look_at(tree: MakeTree) -> None:
    with pytest.raises(Absent):
        source_of(tree({}))


def test_two_plugins_with_modules_of_the_same_name_are_told_apart(tree: MakeTree) -> None:
    own = "from base import Base\nclass {0}(Base): ...\n"
    app = "from fastapi import FastAPI\napp = FastAPI()\n"
    platform = tree(
        {
            "shared/config.py": "",
            "/plugins/one/main.py": app
            + "ONE_PORT: int = 9001\n"
            + own.format("One")
            + "# port=9001",
            "/plugins/one/base.py": "import pydantic\nclass Base(pydantic.BaseModel): ...\n",
            "/plugins/two/main.py": app + own.format("Two") + "# port=9002",
            "/plugins/two/base.py": "class Base: ...\n",
        }
    )
    source = source_of(platform)
    one, two = (next(m for m in source.modules if f"{n}/main" in m.name) for n in ("one", "two"))
    assert "pydantic.BaseModel" in source.ancestry(one, one.classes["One"])
    assert "pydantic.BaseModel" not in source.ancestry(two, two.classes["Two"])


@pytest.mark.parametrize(
    ("base", "how"),
    [
        ("from sqlalchemy.orm import DeclarativeBase\nclass Base(DeclarativeBase): ...", "a class"),
        ("from sqlalchemy.orm import declarative_base\nBase = declarative_base()", "a call"),
        ("from typing import Any\nfrom sqlalchemy.ext.declarative import declarative_base as d\nBase: Any = d(name='B')", "an annotated call"),
        ("from sqlalchemy.orm import registry\nreg = registry()\nBase = reg.generate_base()", "a registry"),
        ("import sqlalchemy.orm as orm\nclass Base(orm.DeclarativeBase): ...", "a module's alias"),
        ("from sqlalchemy.orm import as_declarative\n@as_declarative()\nclass Base: ...", "a decorator"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "passed_on",
    ["from shared.base import Base", "from .base import *", "from . import base\nBase = base.Base"],
)
def test_a_declarative_base_is_followed_through_files(
    tree: MakeTree, base: str, how: str, passed_on: str
) -> None:
    model = "from shared import Base\nclass Service(Base):\n    metadata = Column(JSON)\n"
    platform = tree(
        {"shared/base.py": base, "shared/__init__.py": passed_on, "app/models.py": model}
    )
    assert [f.target for f in findings(platform, "SRC204")] == ["backend/app/models.py:Service"], (
        how
    )


def test_a_circle_of_imports_ends(tree: MakeTree) -> None:
    platform = tree(
        {
            "a.py": "from b import X\nclass Y(X): ...\n",
            "b.py": "from a import Y as X\n",
            "c.py": "from c import *\nclass Z(Q): ...\n",
        }
    )
    source = source_of(platform)
    for module in source.modules:
        for node in module.classes.values():
            source.ancestry(module, node)
            source.heirs(module, node)


def test_ten_thousand_files_are_indexed_and_searched_in_a_moment(tmp_path: Path) -> None:
    text = b"import os\n\n\ndef f(a):\n    return os.path.join(a, 'x')\n" * 20
    modules = tuple(
        Module(tmp_path / f"m{n}.py", f"m{n}.py", f"m{n}", text, tmp_path) for n in range(10_000)
    )
    source = Source(modules, (tmp_path,))
    began = time.process_time()
    models, objects = PydanticModels.read(source), Objects.read(source)
    tables = Tables.read(source)
    refused, configs = Refused(models, objects), ModelConfigs(models, objects)
    changed = ChangedFields(models, configs)
    found: list[object] = [models.sign_of_v2, models.email_field, tables.asyncio, tables.reserved]
    found += [refused.constructs, changed.optional, changed.variables]
    found += [configs.old_keys, StillTaken(models, objects, refused).kinds]
    found += [Residues(tables, models, objects).found]
    assert not any(found)
    assert time.process_time() - began < 2


def test_offsets_are_of_bytes_also_after_a_mark_and_letters_of_two() -> None:
    data = b"\xef\xbb\xbf\xc3\xa9 = x\r\n\xc3\xa9 = y\r\n"
    module = Module(Path("a.py"), "a.py", "a", data)
    names = [n for n in module.nodes if isinstance(n, ast.Name) and n.id in "xy"]
    offsets = [module.offset(n.lineno, n.col_offset) for n in names]
    assert [data[at : at + 1] for at in offsets] == [b"x", b"y"]


class Knot:
    """Garbage whose end gives the other threads a turn, wherever the collector comes by."""

    def __init__(self) -> None:
        self.own = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


def test_trees_are_made_by_many_threads_at_once() -> None:
    text = Path(ast.__file__).read_bytes()[:6000].rpartition(b"\ndef ")[0]

    def tree_of(number: int) -> ast.Module | None:
        for _ in range(5):
            Knot()
        return Module(Path(f"{number}.py"), f"{number}.py", f"{number}", text).tree

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50, 5, 5)
    try:
        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(tree_of, range(300)))
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)


# SRC200.


ANY = WantedPython(SpecifierSet(">=3.11"), "the doctor's default", declared=False)


def judged(platform: Platform, version: tuple[int, int] | None = None) -> Syntax:
    own = Version(".".join(map(str, version or sys.version_info[:2])) + ".0")
    interpreter = Interpreter(
        platform.path("backend/.venv"), "backend/.venv", True, Path(sys.executable), own
    )
    return Syntax.read(source_of(platform), interpreter, ANY)


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"def broken(:\n", 1), (b"x = 1\nreturn x\n", 2), (b"\x00\x01", None), (b"x = '\xe9'\n", 1)],
)
def test_what_python_cannot_compile_is_named_with_its_line(
    tree: MakeTree, text: bytes, line: int | None
) -> None:
    broken = judged(tree({"a.py": text, "b.py": "x = 1\n"})).broken
    assert [(b.module.name, b.line) for b in broken if b.text] in (
        [("backend/a.py", line)],
        [("backend/a.py", 0)],
    )


def test_nesting_without_end_is_a_finding_and_no_crash(tree: MakeTree) -> None:
    assert len(judged(tree({"a.py": "(" * 5000 + ")" * 5000})).broken) == 1


def test_another_pythons_files_are_judged_by_that_python(
    tree: MakeTree,
) -> None:
    platform = tree({"a.py": "broken(\n", "b.py": "x = 1\n"})
    older, newer = (3, 8), (3, 99)
    for version in (older, newer):
        syntax = judged(platform, version)
        assert [b.module.name for b in syntax.broken] == ["backend/a.py"]
        assert "backend/.venv" in syntax.judge


def test_without_an_environment_what_another_python_cannot_compile_is_undecided(
    tree: MakeTree,
) -> None:
    platform = tree({"a.py": "type Names = list[str]\nx = = 1\n"})
    none = Interpreter(platform.path(".venv"), ".venv", exists=False)
    check = rules.checks()["SRC200"]
    found = list(check.function(Syntax.read(source_of(platform), none, ANY)))
    assert [type(f) for f in found] == [Undecided]


@pytest.mark.parametrize(
    "text", ["x = (\n", "x = 1\n  y = 2\n", "def f():\nx = 1\n", "x = [1)\n"], ids=repr
)
def test_without_an_environment_what_no_python_compiles_is_an_error(
    tree: MakeTree, text: str
) -> None:
    platform = tree({"a.py": text})
    none = Interpreter(platform.path(".venv"), ".venv", exists=False)
    (found,) = rules.checks()["SRC200"].function(Syntax.read(source_of(platform), none, ANY))
    assert isinstance(found, Finding)
    assert found.place
    assert found.place.line


def test_without_an_environment_the_doctors_python_is_believed_where_the_platform_is_for_it(
    tree: MakeTree,
) -> None:
    platform = tree({"a.py": "x = = 1\n"})
    none = Interpreter(platform.path(".venv"), ".venv", exists=False)
    source = source_of(platform)
    declared = WantedPython(SpecifierSet(">=3.10"), "requires-python in pyproject.toml")
    assert [b.line for b in Syntax.read(source, none, declared).broken] == [1]
    newer = WantedPython(SpecifierSet(">=3.99"), "requires-python in pyproject.toml")
    assert [b.line for b in Syntax.read(source, none, newer).doubtful] == [1]


def test_without_an_environment_an_f_string_of_newer_kind_is_undecided(tree: MakeTree) -> None:
    platform = tree({"a.py": 'x = f"{d["("]}"\n'})
    none = Interpreter(platform.path(".venv"), ".venv", exists=False)
    assert Syntax.read(source_of(platform), none, ANY).broken == ()


def test_what_the_doctors_own_python_is_too_old_for_is_undecided(
    tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = tree({"a.py": "type Names = list[str]\n", "b.py": "x = 1\n"})
    newer = Path(python_for("3.12"))
    interpreter = Interpreter(
        platform.path("backend/.venv"), "backend/.venv", True, newer, Version("3.12.1")
    )
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    source = source_of(platform)
    (module,) = [m for m in source.modules if m.name == "backend/a.py"]
    if module.tree:  # this Python is new enough: as one that is not would find it
        module.__dict__["parsed"] = SyntaxError("invalid syntax")
    (found,) = rules.checks()["SRC200"].function(Syntax.read(source, interpreter, ANY))
    assert isinstance(found, Undecided)
    assert "backend/a.py: the Python that runs the doctor" in found.reason
    assert "run the doctor with Python 3.12.1" in found.reason


def test_many_files_are_shared_between_processes_and_none_is_lost(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {f"m{n}.py": f"x = {n}\n" for n in range(450)}
    files |= {"m7.py": "x = = 7\n", "m448.py": "def f(:\n"}
    syntax = judged(tree(files))
    assert [b.module.name for b in syntax.broken] == ["backend/m448.py", "backend/m7.py"]
    assert syntax.left == ()


def test_what_was_not_reached_in_time_is_left(
    tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntax_module, "BUDGET", 0.0)
    assert [m.name for m in judged(tree({"a.py": "x = 1\n"})).left] == ["backend/a.py"]


def test_what_was_judged_before_the_time_was_up_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntax_module, "BUDGET", 1.5)
    (tmp_path / "a.py").write_text("x = = 1\n")
    os.mkfifo(tmp_path / "endless.py")  # its reading never ends
    modules = [Module(tmp_path / f"{n}.py", f"{n}.py", n, b"") for n in ("a", "endless")]
    broken, left = syntax_module._judged(sys.executable, modules)
    assert ([b.module.name for b in broken], left) == (["a.py"], modules[1:])


def test_a_file_that_no_python_could_judge_is_undecided(tree: MakeTree) -> None:
    platform = tree({"a.py": "broken(\n"})
    gone = Interpreter(
        platform.path(".venv"), ".venv", True, Path("/nonexistent"), Version("3.99.0")
    )
    check = rules.checks()["SRC200"]
    found = list(check.function(Syntax.read(source_of(platform), gone, ANY)))
    assert [type(f) for f in found] == [Undecided]


def test_what_was_compiled_as_it_is_now_is_not_compiled_again(
    tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = tree({"a.py": "x = 1\n", "b.py": "y = 1\n"})
    monkeypatch.setattr(sys, "pycache_prefix", None)
    py_compile.compile(str(platform.path("backend/a.py")), doraise=True)
    asked: list[str] = []
    real = syntax_module._judged

    def watched(python: str, modules: list[Module]) -> tuple[list[Broken], list[Module]]:
        asked.extend(module.name for module in modules)
        return real(python, modules)

    monkeypatch.setattr(syntax_module, "_judged", watched)
    judged(platform)
    assert asked == ["backend/b.py"]
    platform.path("backend/a.py").write_text("x = = 1\n")
    assert [b.module.name for b in judged(platform).broken] == ["backend/a.py"]


# SRC201.

MODELS = {
    "shared/__init__.py": "",
    "shared/models/user.py": "class User: ...\n",
    "shared/models/service.py": "class Service: ...\n",
    "shared/utils/__init__.py": "",
    "app/main.py": "from shared.models import User, Service\n",
}  # fmt: skip


def test_the_marker_holds_the_names_that_are_imported_from_it(tree: MakeTree) -> None:
    platform = tree(MODELS)
    (finding,) = findings(platform, "SRC201")
    assert finding.severity is Severity.ERROR
    assert str(finding.place) == "backend/app/main.py:1:1"
    assert fixed(platform, "SRC201") == {
        "backend/shared/models/__init__.py": "from shared.models.service import Service\n"
        'from shared.models.user import User\n\n__all__ = ["Service", "User"]\n'
    }


def test_the_names_that_others_in_the_folder_need_come_first(tree: MakeTree) -> None:
    later = {
        **MODELS,
        "shared/models/service.py": "from shared.models import User\nclass Service(User): ...\n",
    }
    text = next(iter(fixed(tree(later), "SRC201").values()))
    assert text.index("user import") < text.index("service import")


@pytest.mark.parametrize(
    "change",
    [
        {"shared/models/other.py": "class User: ...\n"},
        {"shared/models/user.py": "from elsewhere import User\n"},
        {
            "shared/models/user.py": "from shared.models import Service\nclass User: ...\n",
            "shared/models/service.py": "from shared.models import User\nclass Service: ...\n",
        },
    ],
    ids=["defined twice", "defined elsewhere", "each needs the other"],
)
def test_where_the_names_come_from_is_not_guessed(
    tree: MakeTree, change: dict[str, str | bytes]
) -> None:
    platform = tree({**MODELS, **change})
    assert [f.severity for f in findings(platform, "SRC201")] == [Severity.ERROR]
    assert fixed(platform, "SRC201") == {}


@pytest.mark.parametrize(
    "main",
    [
        "from shared.models import user\n",
        "from shared.models.user import User\n",
        "try:\n    from shared.models import User\nexcept ImportError:\n    User = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shared.models import User\n",
    ],
    ids=["a module", "from a module", "may fail", "for type checkers"],
)
def test_imports_that_do_not_fail_are_no_error(tree: MakeTree, main: str) -> None:
    found = findings(tree({**MODELS, "app/main.py": main}), "SRC201")
    assert Severity.ERROR not in [f.severity for f in found]


@pytest.mark.parametrize(
    "files",
    [
        {"shared/config.py": "", "app/main.py": "from shared.config import x\nfrom shared import config\n"},
        {"alembic/env.py": "from alembic import context, op\n", "app/__init__.py": ""},
        {"queue/worker.py": "from queue import Queue\n"},
        {"tests/unit/test_a.py": "", "tests/__init__.py": "", "tests/api/__init__.py": ""},
    ],
    ids=["no markers at all", "migrations", "a standard package's name", "tests"],
)  # fmt: skip
def test_a_folder_where_none_is_due_is_silent(
    tree: MakeTree, files: dict[str, str | bytes]
) -> None:
    platform = tree(files)
    assert findings(platform, "SRC201", environment(platform)) == []


def test_a_plugins_folder_is_not_what_the_back_end_imports(tree: MakeTree) -> None:
    app = "from fastapi import FastAPI\napp = FastAPI()  # port=9001\n"
    platform = tree(
        {
            "models/__init__.py": "class User: ...\n",
            "app.py": "from models import User\n",
            "/plugins/one/main.py": app + "from models.item import Item\n",
            "/plugins/one/models/item.py": "class Item: ...\n",
        }
    )
    assert findings(platform, "SRC201", environment(platform)) == []


def environment(platform: Platform, *files: str) -> Interpreter:
    version = Version("3.11.4")
    folder = platform.path("backend/.venv")
    for name in files:
        path = folder / "lib/python3.11/site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return Interpreter(folder, "backend/.venv", True, folder / "bin/python", version)


def test_a_folder_that_an_installed_package_wins_over_gets_an_empty_marker(tree: MakeTree) -> None:
    platform = tree({"shared/config.py": "x = 1\n", "app.py": "from shared.config import x\n"})
    interpreter = environment(platform, "shared/__init__.py", "shared/other.py")
    (finding,) = findings(platform, "SRC201", interpreter)
    assert "site-packages/shared wins over it" in finding.message
    assert finding.data["content"] == b""


def test_a_folder_called_as_an_installed_package_that_is_meant_is_silent(tree: MakeTree) -> None:
    platform = tree(
        {"celery/jobs.py": "from celery import Celery\nfrom celery.result import AsyncResult\n"}
    )
    interpreter = environment(platform, "celery/__init__.py", "celery/result.py")
    assert findings(platform, "SRC201", interpreter) == []


def test_without_an_environment_names_that_no_module_here_has_are_another_packages(
    tree: MakeTree,
) -> None:
    keys = {"locksmith/realm.py": "REALM = 1\n", "app.py": "from locksmith import Admin, Client\n"}
    with pytest.raises(Blocked, match="locksmith"):
        findings(tree(keys), "SRC201")
    keys["locksmith/admin.py"] = "class Admin: ...\n"
    assert [f.target for f in findings(tree(keys), "SRC201")] == ["locksmith"]


def test_a_folder_is_alone_only_where_all_its_siblings_have_the_file(tree: MakeTree) -> None:
    shop: dict[str, str | bytes] = {
        "shop/__init__.py": "",
        "shop/cart/__init__.py": "",
        "shop/orders/rows.py": "",
        "main.py": "from shop.orders.rows import x\nfrom shop.prices import rates\n",
    }
    assert [f.severity for f in findings(tree(shop), "SRC201")] == [Severity.INFO]
    assert findings(tree({**shop, "shop/prices/rates.py": ""}), "SRC201") == []


def test_a_folder_that_no_import_can_name_needs_no_file(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        "shared/__init__.py": "",
        "shared/models/__init__.py": "",
        "shared/rate-tools/example.py": "from .client import Client\n",
        "shared/rate-tools/client.py": "class Client: ...\n",
    }
    assert findings(tree(files), "SRC201") == []


def test_folders_of_one_name_in_two_roots_are_two_targets(tree: MakeTree) -> None:
    app = "from fastapi import FastAPI\napp = FastAPI()  # port=900{}\nfrom models import Item\n"
    files: dict[str, str | bytes] = {}
    for number, name in enumerate(("one", "two")):
        files[f"/plugins/{name}/main.py"] = app.format(number)
        files[f"/plugins/{name}/models/item.py"] = "class Item: ...\n"
    found = findings(tree(files), "SRC201")
    assert [f.target for f in found] == ["plugins/one/models", "plugins/two/models"]


@pytest.mark.parametrize(
    "statement",
    [
        "from shared.models import User",
        "from shared.models import (\n    user,\n    User,\n)",
        "from shared.models \\\n    import User",
        "if True: from shared.models import User",
        "x = 1; from shared.models import User",
        "def f():\n\tfrom\tshared.models\timport User",
        "from ..shared.models import User",
    ],
)
def test_an_import_is_found_however_it_is_written(tree: MakeTree, statement: str) -> None:
    files = {**MODELS, "app/__init__.py": "", "app/main.py": statement + "\n"}
    if statement.startswith("from .."):
        files = {f"shop/{name}": text for name, text in files.items()}
    (finding,) = findings(tree(files), "SRC201")
    assert finding.severity is Severity.ERROR


def test_without_an_environment_it_is_not_told_which_package_wins(tree: MakeTree) -> None:
    platform = tree({"shared/config.py": "", "app.py": "from shared.config import x\n"})
    with pytest.raises(Blocked, match="shared") as blocked:
        findings(platform, "SRC201")
    assert blocked.value.code == "PY102"


# Versions.


@pytest.mark.parametrize(
    ("specifier", "bound", "wanted"),
    [
        ("==2.5.3", "2", True), ("==1.10.*", "2", False), ("==2.*", "2.1.dev0", True),
        (">=1.10,<2", "2", False), (">=2.0.31,<2.1", "2.1.dev0", False), ("~=1.10", "2", False),
        ("~=2.0", "2.1.dev0", True), ("~=2.0.1", "2.1.dev0", False), ("<=1.10.2", "2", False),
        ("", "2", True), ("!=2.0", "2", True),
    ],
)  # fmt: skip
def test_what_a_requirement_can_reach(
    tmp_path: Path, specifier: str, bound: str, wanted: bool
) -> None:
    file = tmp_path / "backend/requirements.txt"
    file.parent.mkdir()
    file.write_text(f"package{specifier}\n")
    (line,) = Requirements.read(platforms.load(tmp_path, exact=True, environ={})).lines
    assert reaches(line, bound) is wanted


def test_the_versions_of_an_environment_come_before_the_requirements(tree: MakeTree) -> None:
    platform = tree({"a.py": ""}, "pydantic==2.9\n")
    interpreter = environment(
        platform, "pydantic-1.10.24.dist-info/METADATA", "pydantic_core-2.0.dist-info/METADATA"
    )
    versions = Versions.read(platform, interpreter, Requirements.read(platform))
    assert versions.at_least("pydantic", "2") is False
    assert versions.installed("pydantic-core") == Version("2.0")
    assert versions.at_least("sqlalchemy", "2") is None


def test_several_projects_tell_a_version_where_they_agree(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        "orders/requirements.txt": "pydantic==2.11.7\n",
        "orders/main.py": "",
        "users/pyproject.toml": '[project]\nname = "users"\ndependencies = ["pydantic>=2"]\n',
        "users/main.py": "",
    }
    platform = tree(files, "rich\n")
    none = Interpreter(platform.path("backend/.venv"), "backend/.venv", exists=False)
    versions = Versions.read(platform, none, Requirements.read(platform))
    assert versions.at_least("pydantic", "2") is True
    assert versions.where("pydantic") == "pydantic==2.11.7 (backend/orders/requirements.txt:1)"
    assert versions.at_least("pydantic", "2.12") is None  # one can't, the other can
    assert versions.at_least("httpx", "0.28") is None
    assert not versions.is_of_the_whole("pydantic")
    # What the platform itself asks for counts alone.
    platform = tree(files, "pydantic<2\n")
    assert (
        Versions.read(platform, none, Requirements.read(platform)).at_least("pydantic", "2")
        is False
    )


def test_the_layout_needs_no_environment(tree: MakeTree) -> None:
    platform = tree(MODELS)
    missing = Interpreter(platform.path("backend/.venv"), "backend/.venv", exists=False)
    assert [u.dotted for u in Layout.read(platform, source_of(platform), missing).unmarked] == [
        "shared.models"
    ]
