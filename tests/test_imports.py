"""Imports between the platform's modules: what they mean, what is missing, and how starts go."""

from __future__ import annotations

import ast
import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from saas_doctor import rules
from saas_doctor.config import Config, validate
from saas_doctor.edits import apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.importing import Run
from saas_doctor.facts.imports import Imports
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.launches import Launches
from saas_doctor.facts.missing import Missing, MissingImports
from saas_doctor.facts.module import Module
from saas_doctor.facts.outline import TextOutline, TreeOutline, imports_in
from saas_doctor.facts.reexport import reexport
from saas_doctor.facts.search_path import Untold, additions
from saas_doctor.facts.shadows import NEEDED
from saas_doctor.facts.source import Source
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from saas_doctor.syntax import parse
from tests.trees import MakeTree, findings, fixed, make_tree, source_of, undone, written

EXAMPLES = settings(max_examples=int(os.environ.get("SD_EXAMPLES", "200")), deadline=None)
CODES = ("SRC203", "SRC205", "SRC206", "SRC207", "SRC208", "SRC209")
APP = "from fastapi import FastAPI\napp = FastAPI()\n# port=8001\n"


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    return make_tree(tmp_path)


def module(text: str | bytes, name: str = "a.py") -> Module:
    data = text if isinstance(text, bytes) else text.encode()
    return Module(Path("/nowhere") / name, name, name[:-3], data, Path("/nowhere"))


def outline(text: str) -> TreeOutline:
    found = TreeOutline.of(module(text))
    assert found
    return found


def imports_of(platform: Platform) -> Imports:
    """With no environment."""
    return Imports(platform, source_of(platform), None)


def missing(platform: Platform) -> list[str]:
    """What is missing, each as its place and its name."""
    return [
        f"{m.place.path}:{m.place.line} {m.origin}{':' if m.name else ''}{m.name}"
        for m in MissingImports(imports_of(platform)).all
    ]


def all_findings(platform: Platform, *known: object) -> list[Finding]:
    return [f for code in CODES for f in findings(platform, code, *known)]


def environment(platform: Platform, *files: str) -> Interpreter:
    """An environment with these files in it, and an interpreter that is not asked."""
    folder = platform.path("backend/.venv")
    for name in files:
        path = folder / "lib/python3.11/site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return Interpreter(folder, "backend/.venv", True, folder / "bin/python", Version("3.11.4"))


@pytest.mark.parametrize(
    ("folder", "found"),
    [("shop-api", []), ("shop_api", ["a bare `pytest` can't import models in tests/test_item.py"])],
)
def test_pytest_takes_no_folder_for_a_package_that_an_import_cannot_name(
    tmp_path: Path, folder: str, found: list[str]
) -> None:
    platform = written(
        tmp_path / folder,
        {
            "__init__.py": "",
            "main.py": "from fastapi import FastAPI\n\nfrom models import Item\n\napp = FastAPI()\n",
            "models.py": "class Item: ...\n",
            "tests/__init__.py": "",
            "tests/test_item.py": "from models import Item\n\n\ndef test_item():\n    Item()\n",
        },
    )
    known = environment(platform, "pytest/__init__.py", "fastapi/__init__.py")
    assert [f.message for f in findings(platform, "SRC205", known)] == found


# One module, by its text and by its tree.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from a.b import c\n", [("a.b", ["c"], ["c"])]),
        ("import a.b, c as d\n", [("a.b", [], ["a"]), ("c", [], ["d"])]),
        ("from a import (\n    b,  # (first)\n    c as d,\n)\n", [("a", ["b", "c"], ["b", "d"])]),
        ("from a import b, \\\n    c\n", [("a", ["b", "c"], ["b", "c"])]),
        ("from a import b, \\\r\n    c\r\n", [("a", ["b", "c"], ["b", "c"])]),
        ("from . import x\nfrom ..y import *\n", [(".", ["x"], ["x"]), ("..y", ["*"], ["*"])]),
        ("if True:\n    import a\ndef f():\n    from b import c\n", []),
        ("import a; from b import c\n", [("a", [], ["a"]), ("b", ["c"], ["c"])]),
        ("from a import b;import c, d; x = 1\n", [("a", ["b"], ["b"]), ("c", [], ["c"]), ("d", [], ["d"])]),
        ("x = 1; from a import (\n    b,\n); import c\n", [("a", ["b"], ["b"]), ("c", [], ["c"])]),
        ("from a import b; x = b\n", [("a", ["b"], ["b"])]),
        ("    import a; from b import c\n# import a; from b import c\n", []),
        ("x = 1  # import a\nimporter = 2\nfrom_a = 3\n", []),
    ],
)  # fmt: skip
def test_the_text_shows_the_imports_at_the_beginnings_of_lines(
    text: str, found: list[tuple[str, list[str], list[str]]]
) -> None:
    assert [(i.origin, i.names, i.bound) for i in imports_in(text.encode())] == found


def test_the_text_shows_what_the_tree_shows_in_all_of_the_standard_library() -> None:
    """Every import of the top level."""
    differ = []
    for path in sorted(Path(ast.__file__).parent.glob("[a-m]*.py")):
        data = path.read_bytes()
        tree = ast.parse(data)
        wanted: list[str] = []
        for node in tree.body:
            if isinstance(node, ast.Import):
                wanted += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                wanted.append("." * node.level + (node.module or ""))
        shown = [statement.origin for statement in imports_in(data)]
        if [w for w in wanted if w not in shown]:
            differ.append(path.name)
    assert differ == []


def test_only_what_may_be_local_is_kept_and_the_rest_is_noted() -> None:
    others: set[bytes] = set()
    kept = imports_in(b"import os, app\nfrom app.x import y\nfrom .z import w\n", {b"app"}, others)
    assert [i.origin for i in kept] == ["app", "app.x", ".z"]
    assert others == {b"os"}


@pytest.mark.parametrize(
    "text",
    [
        "X = 1",
        "X: int = 1",
        "X, Y = 1, 2",
        "[A, *X] = 1, 2",
        "for X in (): pass",
        "with open(f) as (X, Y): pass",
        "def X(): ...",
        "async def X(): ...",
        "class X: ...",
        "import X.y",
        "import y as X",
        "from y import X",
        "from y import z as X",
        "try:\n    import y\nexcept ImportError:\n    X = None",
        "if a:\n    pass\nelif b:\n    X = 1",
        "while (X := f()): pass",
        "def f():\n    global X\n    X = 1",
        "match f():\n    case {'a': [X, *_]}: pass",
        "match f():\n    case {**X}: pass",
        "@(X := g)\ndef f(): ...",
        "def f(a=(X := 1)): ...",
        "X = 1\ndel X",
        "if sys.version_info > (3,):\n    class X: ...",
    ],
)
def test_whatever_binds_a_name_counts(text: str) -> None:
    found = outline(text + "\n")
    assert "X" in found.bound
    assert found.closed


@pytest.mark.parametrize(
    "text",
    [
        "__all__ = ['X']",
        "def f():\n    X = 1",
        "class C:\n    X = 1",
        "def f(X): ...",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from y import X",
        "import typing\nif typing.TYPE_CHECKING:\n    X = 1\nelse:\n    Y = 1",
        "'''\nX = 1\nclass X: ...\n'''",
        "print(X)",
    ],
)
def test_what_binds_no_name_of_the_module_does_not(text: str) -> None:
    found = outline(text + "\n")
    assert "X" not in found.bound
    assert found.closed


@pytest.mark.parametrize(
    "text",
    [
        "def __getattr__(name): ...",
        "from lazy import attach\n__getattr__, __dir__, __all__ = attach(__name__)",
        "globals()['X'] = 1",
        "globals().update(a)",
        "exec(text)",
        "import sys\nsys.modules[__name__] = object()",
        "from sys import modules",
        "for n in names:\n    setattr(me, n, 1)",
        "__path__ = []\nprint(__path__)",
    ],
)
def test_a_module_that_makes_its_names_is_open(text: str) -> None:
    assert not outline(text + "\n").closed


@pytest.mark.parametrize("text", ["def f(o):\n    setattr(o, 'x', 1)", "session.exec(q)\n"])
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert outline(text + "\n").closed


def test_a_definition_is_found_by_its_text_and_not_by_a_longer_name() -> None:
    text = TextOutline(
        b"\nclass UserBase: ...\n\n\nuser_id = 1\nMAX: int = 3\nasync def go(): ...\n", ()
    )
    assert text.first("User") is None
    assert text.first("user") is None
    assert text.first("MAX") is not None
    assert text.first("go") is not None


@EXAMPLES
@given(st.data())
def test_text_with_bytes_changed_is_read_without_an_error(data: st.DataObject) -> None:
    base = (
        b"import os, a.b as c\nfrom x import (\n    y,  # z\n    w as v,\n)\nfrom . import q \\\n  , r\n"
        b"class K(y):\n    pass\n\n\ndef f():\n    global G\n    G = 1\n\n\nN: int = 1\nimport sys\n"
        b"sys.path.insert(0, __file__)\n"
    )
    changed = bytearray(base)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=4))
    found = module(bytes(changed))
    for statement in imports_in(found.data):
        assert 0 <= statement.at <= len(found.data)
        assert len(statement.names) <= len(found.data)
        assert len(statement.bound) <= len(found.data)
    TextOutline(found.data, ()).first("K")
    TreeOutline.of(found)
    with suppress(Untold):
        additions(found)


# What a module adds to sys.path.

HERE = "/srv/backend/registry/run.py"


def added(text: str) -> list[str]:
    script = Module(Path(HERE), "run.py", "run", text.encode(), Path("/srv/backend/registry"))
    return [folder for _, folder, _ in additions(script)]


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("sys.path.insert(0, str(Path(__file__).resolve().parents[1]))", "/srv/backend"),
        ("sys.path.insert(0, str(Path(__file__).parent.parent))", "/srv/backend"),
        ("sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))", "/srv/backend"),
        ("sys.path.append(os.path.join(os.path.dirname(__file__), '..'))", "/srv/backend"),
        ("sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, 'lib'))", "/srv/backend/lib"),
        ("ROOT = Path(__file__).resolve().parent\nsys.path.insert(0, str(ROOT.parent / 'lib'))", "/srv/backend/lib"),
        ("B = os.path.dirname(__file__)\nif B not in sys.path:\n    sys.path.insert(1, B)", "/srv/backend/registry"),
        ("sys.path.insert(0, Path(__file__).parent.joinpath('a').as_posix())", "/srv/backend/registry/a"),
    ],
)  # fmt: skip
def test_a_folder_put_on_the_path_is_worked_out(text: str, folder: str) -> None:
    assert added(f"import os\nimport sys\nfrom pathlib import Path\n{text}\n") == [folder]


@pytest.mark.parametrize(
    "text",
    [
        "sys.path.insert(0, '..')",
        "sys.path.insert(0, os.getcwd())",
        "sys.path.insert(0, os.environ['ROOT'])",
        "sys.path = [a] + sys.path",
        "sys.path += [a]",
        "sys.path.extend(more)",
        "for p in ('a', 'b'):\n    sys.path.append(p)",
        "def f():\n    sys.path.append('x')\nf()",
        "from sys import path\npath.append('x')",
        "import site\nsite.addsitedir('x')",
        "n = 1\nsys.path.append(str(Path(__file__).parents[n]))",
        "sys.path.append(str(Path(__file__).parents[99]))",
    ],
)
def test_what_the_text_does_not_tell_is_not_guessed(text: str) -> None:
    with pytest.raises(Untold):
        added(f"import os\nimport sys\nfrom pathlib import Path\n{text}\n")


# What is missing.

SHARED: dict[str, str | bytes] = {
    "shared/__init__.py": "",
    "shared/config.py": "def get_settings(): ...\n",
    "core/__init__.py": "",
    "core/main.py": APP + "from shared.config import get_settings\n",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from shared.confg import get_settings\n", "shared.confg"),
        ("import shared.confg\n", "shared.confg"),
        ("from .nowhere import x\n", ".nowhere"),
        ("from ..core.nowhere import x\n", "..core.nowhere"),
        ("from shared.config import settings\n", "shared.config:settings"),
        ("from shared import settings\n", "shared:settings"),
        ("from shared.config import (  # all\n    get_settings,\n    settings,\n)\n", "shared.config:settings"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_found_at_its_place(tree: MakeTree, text: str, found: str) -> None:
    platform = tree({**SHARED, "core/work.py": text})
    line = text.count("\n", 0, text.index("    settings")) + 1 if "    settings" in text else 1
    assert missing(platform) == [f"backend/core/work.py:{line} {found}"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"core/redis.py": "import redis\nfrom redis.asyncio import Redis\n", "core/x.py": "from redis import Redis\n"}, "a module called as a package to come"),
        ({"core/ext/__init__.py": "", "core/ext/sqlalchemy/__init__.py": "", "core/ext/sqlalchemy/types.py": "from sqlalchemy.dialects import postgresql\nfrom sqlalchemy.types import Own\nclass Own: ...\n"}, "a package called as one to come, inside a package"),
        ({"core/ext/redis/__init__.py": "class Pool: ...\n", "core/ext/redis/client.py": "from redis.asyncio import Redis\nfrom redis import Redis as R\n"}, "a package called as one to come, in a folder"),
        ({"core/jwt.py": "X = 1\n", "core/x.py": "import jwt\nfrom jwt.algorithms import RSAAlgorithm\n"}, "a sibling of that name"),
        ({"alembic/env.py": "from alembic import context\nfrom alembic.config import Config\n"}, "a folder of migrations"),
        ({"alembic/__init__.py": "", "alembic/env.py": "from alembic import context\n"}, "a package of migrations"),
        ({"tools/x.py": "import sys\nsys.path.insert(0, sys.argv[1])\nfrom shared.config import MORE\n", "lib/shared/config.py": "MORE = 1\n"}, "a module that looks in another folder first"),
        ({"/.gitignore": "*_local.py\nbackend/made/\n", "core/x.py": "from shared.settings_local import A\n", "core/y.py": "from made.models import B\n", "made/__init__.py": ""}, "what git leaves out"),
        ({"common/__init__.py": "", "common/a.py": "A = 1\n", "core/u.py": "from common.a import A\n", "tests/common.py": "B = 1\n", "tests/test_x.py": "from common import B\n"}, "a module beside the test"),
        ({"core/x.py": "from shared.gen import pb\n", "shared/gen.so": b"\x00"}, "a compiled module"),
        ({"core/x.py": "from shared.cfg import X\n", "shared/cfg.py": "def f(): ...\n", "shared/cfg.pyi": "X: int\n"}, "a stub beside it"),
        ({"core/x.py": "from shared import fast\n", "shared/fast.pyx": ""}, "a module that is compiled later"),
        ({"core/x.py": "from shared.v1 import A\n", "shared/v1.py": "from pydantic.v1 import *\n"}, "everything of another's"),
        ({"core/x.py": "from shared.v1 import A\n", "shared/v1.py": "from .v2 import *\n", "shared/v2.py": "A = 1\n"}, "everything of its own"),
        ({"core/x.py": "from shared.v1 import A\n", "shared/v1.py": "from .v2 import *\n", "shared/v2.py": "from .v1 import *\n"}, "a circle of stars"),
        ({"shared/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n", "core/x.py": "from shared.plugin import A\n"}, "a package over several folders"),
        ({"tests/test_x.py": "import pytest\npytest.importorskip('x')\nfrom shared.gone import A\n"}, "a test that skips itself"),
        ({"docs/x.py": "from shared.gone import A\n"}, "text for readers"),
        ({"shared/_version.py.in": "", "core/x.py": "from shared._version import v\nfrom shared.api_pb2 import M\n"}, "modules that are made"),
        ({"core/x.py": "def f():\n    from shared.gone import A\n\n\nif False:\n    from shared.gone import B\ntry:\n    from shared.gone import C\nexcept Exception:\n    C = None\n"}, "what may not be executed"),
        ({"core/x.py": "from contextlib import suppress\nwith suppress(ImportError):\n    from shared.gone import A\n"}, "what may fail"),
        ({"core/x.py": "from shared.config import LATER\n", "core/y.py": "import shared.config\nshared.config.LATER = 1\n"}, "a name that is set from outside"),
        ({"core/x.py": "print 'two'\nfrom shared.gone import A\n"}, "what can't be parsed"),
        ({"jobs/shared/__init__.py": "", "jobs/shared/tasks.py": "T = 1\n", "jobs/work.py": "from shared.tasks import T\n"}, "a package of its own above"),
        ({"tools/x.py": "import sys\nsys.path.append(sys.argv[1])\nfrom config import B\n", "tools/config.py": "A = 1\n", "tools/y.py": "from config import A\n", "lib/config.py": "B = 1\n"}, "a module that looks elsewhere"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_may_be_there_is_silent(
    tree: MakeTree, files: dict[str, str | bytes], why: str
) -> None:
    assert missing(tree({**SHARED, **files})) == [], why


def test_two_services_with_packages_of_one_name_are_told_apart(tree: MakeTree) -> None:
    def service(name: str, text: str) -> dict[str, str | bytes]:
        at = f"/services/{name}"
        return {
            f"{at}/requirements.txt": "fastapi\n",
            f"{at}/app/__init__.py": "",
            f"{at}/app/main.py": APP + "from app.models import One\n",
            f"{at}/app/models.py": text,
        }

    platform = tree({**service("a", "class One: ...\n"), **service("b", "class Two: ...\n")})
    assert missing(platform) == ["services/b/app/main.py:4 app.models:One"]


def test_an_installed_package_of_that_name_may_be_meant(tree: MakeTree) -> None:
    platform = tree({**SHARED, "core/work.py": "from shared.confg import x\n"})
    assert len(findings(platform, "SRC205", environment(platform, "other.py"))) == 1
    assert findings(platform, "SRC205", environment(platform, "shared/__init__.py")) == []


def test_it_is_an_error_only_where_what_is_started_imports_it(tree: MakeTree) -> None:
    platform = tree(
        {
            **SHARED,
            "core/main.py": APP + "import core.used\n",
            "core/used.py": "from shared.config import settings\n",
            "core/unused.py": "from shared.confg import settings\n",
        }
    )
    (used,), (unused,) = findings(platform, "SRC206"), findings(platform, "SRC205")
    assert (used.severity, unused.severity) == (Severity.ERROR, Severity.WARNING)


def test_names_that_one_module_wants_of_another_are_one_finding(tree: MakeTree) -> None:
    platform = tree({**SHARED, "core/x.py": "from shared.config import A, B\n", "core/y.py": "from shared.config import A\n"})  # fmt: skip
    (finding,) = findings(platform, "SRC206")
    assert "does not define A, B" in finding.message
    assert finding.more == {"also at": "backend/core/y.py:1:1"}


def test_names_that_several_modules_want_of_one_are_one_finding(tree: MakeTree) -> None:
    names = {"a": "A", "b": "A, B", "c": "C"}
    files = {f"core/{m}.py": f"from shared.config import {n}\n" for m, n in names.items()}
    (finding,) = findings(tree({**SHARED, **files}), "SRC206")
    assert "does not define A, B, C, which backend/core/a.py and 2 more import" in finding.message
    assert (
        finding.more["also at"]
        == "backend/core/b.py:1:30, backend/core/c.py:1:27, backend/core/b.py:1:1"
    )


def test_the_nearest_right_name_is_told(tree: MakeTree) -> None:
    platform = tree(
        {
            **SHARED,
            "core/x.py": "from shared.config import get_setings\nfrom shared.confg import a\n",
        }
    )
    (name,), (nowhere,) = findings(platform, "SRC206"), findings(platform, "SRC205")
    assert "write get_settings" in name.next_step
    assert "shared.config" in nowhere.next_step


# Letter case.


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("from Shared.Config import get_settings  # Shared.Config\n", "from shared.config import get_settings  # Shared.Config\n"),
        ("from ..shared.Config import get_settings\r\n", "from ..shared.config import get_settings\r\n"),
        ("import os, shared.Config as config\n", "import os, shared.config as config\n"),
        ("é = 1\nfrom shared.CONFIG import (\n    get_settings,\n)\n", "é = 1\nfrom shared.config import (\n    get_settings,\n)\n"),
    ],
)  # fmt: skip
def test_only_the_modules_name_is_corrected(tree: MakeTree, text: str, after: str) -> None:
    platform = tree({**SHARED, "__init__.py": "", "core/x.py": text})
    assert fixed(platform, "SRC209")["backend/core/x.py"] == after


def test_every_module_that_writes_it_so_is_corrected(tree: MakeTree) -> None:
    text = "from shared.Config import get_settings\n"
    platform = tree({**SHARED, "core/x.py": text, "core/y.py": text})
    assert set(fixed(platform, "SRC209")) == {"backend/core/x.py", "backend/core/y.py"}


@pytest.mark.parametrize("text", ["import shared.Config\n", "from shared import Config\n"])
def test_a_name_that_the_code_uses_is_corrected_by_hand(tree: MakeTree, text: str) -> None:
    platform = tree({**SHARED, "core/x.py": text})
    (finding,) = findings(platform, "SRC209")
    assert finding.data["no_fix"]
    assert findings(platform, "SRC206") == []


def test_a_package_to_come_that_differs_from_a_module_in_case_is_silent(tree: MakeTree) -> None:
    platform = tree({**SHARED, "pil.py": "X = 1\n", "core/x.py": "from PIL import Image\nimport YAML\n", "yaml.py": ""})  # fmt: skip
    assert missing(platform) == []


# Re-exports.

PACKAGE: dict[str, str | bytes] = {
    **SHARED,
    "shared/models/__init__.py": "",
    "shared/models/user.py": "class User: ...\n",
    "shared/models/order.py": "class Order: ...\n",
    "core/x.py": "from shared.models import Order\n",
}
INIT = "backend/shared/models/__init__.py"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "from shared.models.order import Order\n"),
        ('"""The tables."""\n', '"""The tables."""\n\nfrom shared.models.order import Order\n'),
        ('"""The tables."""', '"""The tables."""\n\nfrom shared.models.order import Order\n'),
        (
            "from .user import User\r\n\r\n__all__ = ['User']\r\n",
            "from .user import User\r\nfrom .order import Order\r\n\r\n__all__ = ['User', 'Order']\r\n",
        ),
        (
            "from shared.models.user import (\n    User,\n)\n\n__all__ = [\n    \"User\",  # people\n]\nX = 1\n",
            "from shared.models.user import (\n    User,\n)\nfrom shared.models.order import Order\n\n__all__ = [\n    \"User\",  # people\n    \"Order\",\n]\nX = 1\n",
        ),
        (
            "from .user import User\n__all__ = (\n  'User'\n  ,)\n",
            "from .user import User\nfrom .order import Order\n__all__ = (\n  'User',\n  'Order'\n  ,)\n",
        ),
        (
            "from .user import User  # noqa\n__all__ = ['User', 'Order']\n",
            "from .user import User  # noqa\nfrom .order import Order\n__all__ = ['User', 'Order']\n",
        ),
        (
            "from .user import User\n__all__ = ['User'] + more\n",
            "from .user import User\nfrom .order import Order\n__all__ = ['User'] + more\n",
        ),
    ],
)  # fmt: skip
def test_the_import_is_added_in_the_files_own_style(
    tree: MakeTree, before: str, after: str
) -> None:
    platform = tree({**PACKAGE, "shared/models/__init__.py": before})
    assert fixed(platform, "SRC206") == {INIT: after}
    platform.path(INIT).write_bytes(after.encode())
    assert findings(platform, "SRC206") == []


@pytest.mark.parametrize(
    "change",
    [
        {"shared/models/order.py": "from shared.models import Item\nclass Order: ...\n", "shared/models/__init__.py": "from shared.models.order import Other\nItem = 1\n"},
        {"shared/models/sale.py": "class Order: ...\n"},
        {"shared/models/order.py": "from elsewhere import Order\n"},
        {"shared/models/order.py": "from core.x import Y\nclass Order: ...\n", "core/x.py": "from shared.models import Order\nY = 1\n"},
    ],
    ids=["needs what comes later", "defined twice", "defined elsewhere", "a circle through the importer"],
)  # fmt: skip
def test_where_it_makes_a_circle_or_is_not_certain_nothing_is_added(
    tree: MakeTree, change: dict[str, str | bytes]
) -> None:
    platform = tree({**PACKAGE, **change})
    assert [f for f in findings(platform, "SRC206") if "Order" in f.message]
    assert fixed(platform, "SRC206") == {}


def test_a_module_that_needs_what_is_not_installed_is_not_added(tree: MakeTree) -> None:
    platform = tree({**PACKAGE, "shared/models/order.py": "import stripe\nclass Order: ...\n"})
    without = environment(platform, "fastapi.py")
    assert [f.data["no_fix"] for f in findings(platform, "SRC206", without)] == [True]
    there = environment(platform, "stripe.py")
    assert [f.data["no_fix"] for f in findings(platform, "SRC206", there)] == [False]


def test_two_names_are_added_by_two_findings_to_one_file(tree: MakeTree) -> None:
    platform = tree({**PACKAGE, "core/x.py": "from shared.models import Order, User\n"})
    assert fixed(platform, "SRC206")[INIT] == (
        "from shared.models.order import Order\nfrom shared.models.user import User\n"
    )


@EXAMPLES
@given(st.data())
def test_an_edit_of_a_mutated_package_can_be_parsed_and_undone(data: st.DataObject) -> None:
    base = bytearray(
        b'"""Doc."""\nfrom .user import User\n\n__all__ = [\n    "User",  # one\n]\nX = 1\n'
    )
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(base)))
        part = data.draw(
            st.sampled_from(
                [b"\n", b"\r\n", b"#", b"'", b"(", b")", b",", b" ", b"\xc3\xa9", b"\\"]
            )
        )
        base[at : at + data.draw(st.integers(0, 3))] = part
    root = Path("/nowhere")
    package = Module(root / "m/__init__.py", "m/__init__.py", "m", bytes(base), root)
    order = Module(root / "m/order.py", "m/order.py", "m.order", b"class Order: ...\n", root)
    user = Module(root / "x.py", "x.py", "x", b"from m import Order\n", root)
    source = Source((package, order, user), (root,))
    imports = Imports(Platform(root, Config()), source, None)
    place = user.place(user.body[0])
    wanted = Missing("m", user, place, "Order", package, homes=(order,))
    edits = reexport(imports, wanted)
    if edits:
        parse(apply_edits(package.data, edits))
        assert undone(package.data, edits) == package.data


# How a start goes.


def run(platform: Platform, start: str, *folders: str, exact: bool = True) -> str:
    """What becomes of a start in these folders: what fails, or how many modules ran."""
    path = [str(platform.path(folder)) for folder in folders or ("backend",)]
    run = Run(imports_of(platform), path, exact)
    if start.endswith(".py"):
        run.script(next(m for m in source_of(platform).modules if m.name == start))
    else:
        run.load(start)
    if run.failure:
        place = f"{run.failure.module.name}:{run.failure.statement.at}" if exact else ""
        return f"{run.failure.kind} {place} {run.failure.full} {run.failure.name}".strip()
    return "untold" if run.untold else f"{len(run.reached)} modules"


@pytest.mark.parametrize("exact", [False, True], ids=["text", "tree"])
@pytest.mark.parametrize(
    ("files", "result"),
    [
        ({"a.py": "from b import X\nY = 1\n", "b.py": "from a import Y\nX = 1\n"}, "circular"),
        ({"a.py": "Y = 1\nfrom b import X\n", "b.py": "from a import Y\nX = 1\n"}, "2 modules"),
        ({"a.py": "from b import X\nY = 1\n", "b.py": "import a\nX = 1\n"}, "2 modules"),
        ({"a.py": "from b import X\nY = 1\n", "b.py": "def f():\n    from a import Y\nX = 1\n"}, "2 modules"),
        ({"a.py": "import p.x\n", "p/__init__.py": "from p.y import Y\nX = 1\n", "p/x.py": "from p import X\n", "p/y.py": "Y = 1\n"}, "4 modules"),
        ({"a.py": "import p.x\n", "p/__init__.py": "from p.x import Z\nX = 1\n", "p/x.py": "from p import X\nZ = 1\n"}, "circular"),
        ({"a.py": "import p\n", "p/__init__.py": "from . import x\n", "p/x.py": "from . import y\nfrom p import y as z\n", "p/y.py": "from p import x\n"}, "4 modules"),
        ({"a.py": "from p import x\n", "p/x.py": "from p import y\n", "p/y.py": "Y = 1\n"}, "3 modules"),
        ({"a.py": "import p as q, p.x as r\n", "p/__init__.py": "", "p/x.py": "from .. import b\n"}, "relative"),
        ({"a.py": "from b import X\n", "b.py": "from fastapi import X\n"}, "2 modules"),
        ({"a.py": "import os, json\n", "json.py": "import nowhere\n"}, "2 modules"),
    ],
)  # fmt: skip
def test_modules_are_executed_in_pythons_order(
    tree: MakeTree, files: dict[str, str | bytes], result: str, exact: bool
) -> None:
    found = run(tree(files), "a", exact=exact)
    assert found.split()[0] == result.split()[0]


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "from b import X\nY = 1\n", "b.py": "try:\n    from a import Y\nexcept ImportError:\n    Y = 2\nX = 1\n"},
        {"a.py": "try:\n    from b import X\nexcept ImportError:\n    pass\nY = 1\n", "b.py": "from a import Y\nX = 1\n"},
        {"a.py": "from b import X\nfrom c import *\n", "b.py": "from a import Y\nX = 1\n", "c.py": "Y = 1\n"},
        {"a.py": "from b import X\n", "b.py": "from a import Y\nX = 1\n"},
        {"a.py": "from b import X\ndef __getattr__(n): ...\n", "b.py": "from a import Y\nX = 1\n"},
    ],
    ids=["caught inside", "caught outside", "of a star", "never there", "made"],
)  # fmt: skip
def test_a_circle_that_can_not_be_told_is_no_failure(
    tree: MakeTree, files: dict[str, str | bytes]
) -> None:
    assert run(tree(files), "a") == "untold"


def python(platform: Platform, folder: str, *argv: str) -> str:
    """The last line that the doctor's own Python says of it."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-B", *argv],
        cwd=platform.path(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stderr.strip().splitlines() or ["works"])[-1]


@pytest.mark.parametrize("seed", range(25))
def test_what_is_said_of_a_start_is_what_python_does(tree: MakeTree, seed: int) -> None:
    """Packages and modules that import each other at random."""
    chance = random.Random(seed)
    names = ["a", "b", "p", "p.x", "p.y", "q", "q.z"]
    files: dict[str, str | bytes] = {}
    for name in names:
        lines = [f"{n.upper()} = 1" for n in "mno" if chance.random() < 0.5]
        for _ in range(chance.randrange(3)):
            other = chance.choice([n for n in names if n != name])
            form = chance.choice(["import {0}", "from {0} import M", "from {0} import M, {1}", "from {2} import {1}"])  # fmt: skip
            parent, _, last = other.rpartition(".")
            line = form.format(other, "N", "p") if not parent else form.format(other, last, parent)
            lines.insert(chance.randrange(len(lines) + 1), line)
        packaged = name in ("p", "q")
        files[name.replace(".", "/") + ("/__init__.py" if packaged else ".py")] = "\n".join(
            [*lines, ""]
        )
    platform = tree(files)
    told = run(platform, "a")
    said = python(platform, "backend", "-c", "import a")
    if told.startswith("circular"):
        assert "partially initialized module" in said
    elif told.startswith("missing"):
        assert "No module named" in said
    elif "partially initialized" in said:
        assert told == "untold"


def test_a_chain_of_thousands_of_modules_is_followed(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {f"m{n}.py": f"from m{n + 1} import X\n" for n in range(3000)}
    assert run(tree({**files, "m3000.py": "X = 1\n"}), "m0") == "3001 modules"


# Services that do not start.

RUN_PY = """import sys
from pathlib import Path

import uvicorn

from shared.config import get_settings

if __name__ == "__main__":
    uvicorn.run("core.main:app", port=8001)
"""
SERVICE: dict[str, str | bytes] = {**SHARED, "core/run.py": RUN_PY}


def test_a_script_that_misses_the_folder_above_gets_a_line(tree: MakeTree) -> None:
    platform = tree({**SERVICE, "/README.md": "```\ncd backend/core\npython run.py\n```\n"})
    (finding,) = findings(platform, "SRC203")
    assert finding.severity is Severity.ERROR
    assert "README.md:2 starts it so" in finding.looked_at
    assert str(finding.place) == "backend/core/run.py:6:1"
    text = fixed(platform, "SRC203")["backend/core/run.py"]
    assert text == RUN_PY.replace(
        "from shared",
        "# python looks for modules in this file's folder alone.\n"
        "sys.path.insert(0, str(Path(__file__).resolve().parents[1]))\n\nfrom shared",
    )
    platform.path("backend/core/run.py").write_text(text)
    assert findings(platform, "SRC203") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "backend/.venv/bin/python backend/core/run.py"),
        ("README.md", "cd core\n$ python3 run.py"),
        ("Makefile", "run:\n\tcd backend/core && python run.py"),
        ("docker/Dockerfile.backend", 'CMD ["python", "-u", "backend/core/run.py"]'),
        ("Dockerfile", "WORKDIR /app/core\nENV A=1\nCMD [ 'python', 'run.py' ]"),
        ("docker-compose.yml", "services:\n  core:\n    command: python core/run.py\n"),
        ("docker/Dockerfile", 'CMD ["sh", "-c", "exec python backend/${SERVICE}/run.py"]'),
        ("scripts/start.sh", "for s in core; do python backend/$s/run.py & done"),
    ],
)
def test_where_a_script_is_started_is_read_in_every_form(
    tree: MakeTree, name: str, text: str
) -> None:
    (finding,) = findings(tree({**SERVICE, f"/{name}": text}), "SRC203")
    assert (finding.severity, name in finding.looked_at) == (Severity.ERROR, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "cd backend && python -m core.run"),
        ("Dockerfile", 'CMD ["uvicorn", "core.main:app"]'),
        ("docker-compose.yml", "services:\n  core:\n    environment: {PYTHONPATH: /app}\n"),
        ("Procfile", "web: gunicorn --chdir backend core.main:app"),
        ("backend/.env", "PYTHONPATH=."),
        (".vscode/launch.json", '{"env": {"PYTHONPATH": "backend"}}'),
    ],
)
def test_another_way_that_is_written_down_counts(tree: MakeTree, name: str, text: str) -> None:
    assert all_findings(tree({**SERVICE, f"/{name}": text})) == []


def test_where_nothing_is_written_it_is_a_warning_that_names_the_way_that_works(
    tree: MakeTree,
) -> None:
    (finding,) = findings(tree(SERVICE), "SRC203")
    assert finding.severity is Severity.WARNING
    assert "python -m uvicorn core.main:app" in finding.next_step


def test_the_app_that_uvicorn_is_told_by_name_is_looked_for_as_well(tree: MakeTree) -> None:
    text = 'import uvicorn\n\nif __name__ == "__main__":\n    uvicorn.run("core.main:app")\n'
    platform = tree({**SERVICE, "core/run.py": text})
    (finding,) = findings(platform, "SRC203")
    assert "can't import core.main" in finding.message
    assert "parents[1]" in fixed(platform, "SRC203")["backend/core/run.py"]
    with_dir = text.replace('app"', 'app", app_dir=".."')
    assert findings(tree({**SERVICE, "core/run.py": with_dir}), "SRC203") == []


@pytest.mark.parametrize("how", ["a .pth file", "an editable finder", "PYTHONPATH"])
def test_what_the_environment_puts_on_the_path_is_found(tree: MakeTree, how: str) -> None:
    platform = tree(SERVICE)
    interpreter = environment(platform, "fastapi.py")
    site = interpreter.site_packages
    backend = platform.path("backend")
    assert len(findings(platform, "SRC203", interpreter)) == 1
    if how == "PYTHONPATH":
        platform.environ["PYTHONPATH"] = str(backend)  # type: ignore[index]
    elif how == "a .pth file":
        (site / "platform.pth").write_text(f"# ours\nimport os\n{backend}\n")
    else:
        (site / "__editable___platform_finder.py").write_text(
            f"MAPPING: dict[str, str] = {{'shared': {str(backend / 'shared')!r}}}\nNAMES = {{}}\n"
        )
    assert findings(platform, "SRC203", interpreter) == []


def test_a_service_that_starts_in_its_own_folder_or_by_its_full_name_is_silent(
    tree: MakeTree,
) -> None:
    own = {"core/main.py": APP + "from conf import X\n", "core/conf.py": "X = 1\n"}  # fmt: skip
    shared = {name: text for name, text in SHARED.items() if name != "core/__init__.py"}
    assert all_findings(tree({**shared, **own})) == []
    neither = {**own, "core/main.py": APP + "from conf import X\nfrom shared.config import get_settings\n"}  # fmt: skip
    platform = tree({**shared, **neither})
    (finding,) = all_findings(platform, environment(platform, "fastapi.py"))
    assert (finding.severity, finding.data["no_fix"]) == (Severity.WARNING, True)


def test_a_circle_is_told_with_its_way_and_only_where_every_start_fails(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        "core/__init__.py": "",
        "core/main.py": APP + "from core.a import A\n",
        "core/a.py": "from core.b import B\n\n\nclass A: ...\n",
        "core/b.py": "from core.a import A\n\n\nclass B: ...\n",
    }
    (finding,) = findings(tree(files), "SRC208")
    assert str(finding.place) == "backend/core/b.py:1:1"
    assert finding.found.startswith("core.a -> core.b -> core.a")
    first = {**files, "core/main.py": APP + "import core.b\nfrom core.a import A\n"}
    (other,) = findings(tree(first), "SRC208")
    assert str(other.place) == "backend/core/a.py:1:1"
    assert (
        findings(tree({**files, "core/b.py": "import core.a\n\n\nclass B: ...\n"}), "SRC208") == []
    )


# Modules that hide others.


def test_the_names_that_fastapi_needs_are_names_of_the_standard_library() -> None:
    import importlib

    for top, names in NEEDED.items():
        module = importlib.import_module(top)
        there = [n for n in names if hasattr(module, n) or importlib.util.find_spec(f"{top}.{n}")]
        assert there, top


def test_a_module_beside_a_script_hides_one_and_beside_a_module_start_it_is_a_warning(
    tree: MakeTree,
) -> None:
    script = {**SHARED, "core/run.py": "import uvicorn\n\nuvicorn.run('main:app')\n", "core/main.py": APP}  # fmt: skip
    hiding: dict[str, str | bytes] = {"logging.py": "import json\n\nLEVEL = 1\n"}
    (one,) = findings(tree({**script, "core/logging.py": hiding["logging.py"]}), "SRC207")
    assert (one.severity, one.target) == (Severity.ERROR, "backend/core/logging.py")


@pytest.mark.parametrize(
    ("readme", "severity"),
    [
        ("", Severity.WARNING),
        ("python -m uvicorn core.main:app", Severity.ERROR),
        ("uvicorn core.main:app", None),
    ],
)
def test_the_command_uvicorn_has_loaded_the_right_ones(
    tree: MakeTree, readme: str, severity: Severity | None
) -> None:
    platform = tree({**SHARED, "logging.py": "LEVEL = 1\n", "/README.md": readme})
    assert [f.severity for f in findings(platform, "SRC207")] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("import redis\n\nclient = redis.Redis()\n", 1),
        ("import redis as r\n\n\ndef f():\n    return r.Redis()\n", 1),
        ("from redis import Redis\n", 1),
        ("from redis.asyncio import Redis\n", 1),
        ("from redis import pool\n", 0),
        ("import redis\n\nredis.pool()\n", 0),
        ("def f(redis):\n    import redis\n    return redis.Redis\n", 0),
        ("try:\n    from redis import Redis\nexcept ImportError:\n    pass\n", 0),
    ],
)
def test_a_module_called_as_an_installed_one_hides_what_is_wanted_of_it(
    tree: MakeTree, text: str, count: int
) -> None:
    platform = tree({**SHARED, "core/main.py": APP + text, "redis.py": "def pool(): ...\n"})
    interpreter = environment(platform, "redis/__init__.py")
    found = findings(platform, "SRC207", interpreter)
    assert [f.target for f in found] == ["backend/redis.py"] * count
    assert findings(platform, "SRC207", environment(platform)) == found  # it is there by now


def test_a_folder_that_is_added_at_the_end_of_the_path_hides_nothing(tree: MakeTree) -> None:
    text = RUN_PY.replace(
        "from shared", "sys.path.{0}str(Path(__file__).resolve().parents[1]))\n\nfrom shared"
    )
    files = {**SHARED, "core/main.py": APP + "from redis import Redis\n", "redis.py": "X = 1\n"}
    for how, count in (("insert(0, ", 1), ("append(", 0)):
        platform = tree({**files, "core/run.py": text.format(how)})
        found = findings(platform, "SRC207", environment(platform, "redis/__init__.py"))
        assert len(found) == count


def test_a_module_in_a_package_hides_nothing(tree: MakeTree) -> None:
    files = {f"shared/{name}.py": "X = 1\n" for name in ("logging", "types", "redis", "email")}
    text = APP + "".join(f"from shared.{name} import X\n" for name in ("logging", "types", "email"))
    assert all_findings(tree({**SHARED, **files, "core/main.py": text})) == []


# Tests.

TESTED: dict[str, str | bytes] = {
    **SHARED,
    "tests/test_core.py": "from core.main import app\n\n\ndef test(): ...\n",
}


def bare(platform: Platform) -> list[Finding]:
    return findings(platform, "SRC205", environment(platform, "pytest/__init__.py"))


def test_a_bare_pytest_finds_nothing_above_its_tests(tree: MakeTree) -> None:
    (finding,) = bare(tree(TESTED))
    assert (str(finding.place), finding.target) == (
        "backend/tests/test_core.py:1:1",
        "pytest:backend",
    )
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    "more",
    [
        {"conftest.py": ""},
        {"tests/__init__.py": ""},
        {"tests/conftest.py": "import sys\nsys.path.append('..')\n"},
        {"pytest.ini": "[pytest]\npythonpath = .\n"},
        {"/pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['backend']\n"},
        {"/Makefile": "test:\n\tcd backend && python -m pytest\n"},
        {"/tox.ini": "[testenv]\nsetenv = PYTHONPATH = backend\n"},
        {"tests/test_core.py": "def test():\n    from core.main import app\n"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_where_it_is_settled_where_pytest_looks_nothing_is_said(
    tree: MakeTree, more: dict[str, str | bytes]
) -> None:
    assert bare(tree({**TESTED, **more})) == []


# Hard input.


def test_ten_thousand_files_are_gone_through_in_a_moment(tmp_path: Path) -> None:
    body = b"\n\ndef work(a):\n    return a\n\n\nclass Thing:\n    x = 1\n" * 7
    modules = []
    for n in range(10_000):
        head = b"import os\nfrom fastapi import Depends\n"
        if n:
            head += b"from app.p%d.m%d import Thing, work\nfrom ..p0 import m0\n" % (
                n // 2 % 100,
                n // 2,
            )
        name = f"app/p{n % 100}/m{n}.py"
        text = head.replace(
            b"p%d.m%d" % (n // 2 % 100, n // 2), b"p%d.m%d" % (n // 2 % 100, n // 2)
        )
        modules.append(Module(tmp_path / name, name, f"app.p{n % 100}.m{n}", text + body, tmp_path))
    for name in ("app", *(f"app/p{n}" for n in range(100))):
        path = f"{name}/__init__.py"
        modules.append(Module(tmp_path / path, path, name.replace("/", "."), b"", tmp_path))
    imports = Imports(Platform(tmp_path, Config()), Source(tuple(modules), (tmp_path,)), None)
    began = time.process_time()
    assert MissingImports(imports).all == ()
    start = Run(imports, [str(tmp_path)])
    start.load("app.p99.m9999")
    assert start.failure is None
    assert time.process_time() - began < 2


@EXAMPLES
@given(st.data())
def test_platforms_with_bytes_changed_are_examined_without_an_error(data: st.DataObject) -> None:
    files = {
        name: text if isinstance(text, bytes) else text.encode() for name, text in PACKAGE.items()
    }
    files["core/run.py"] = RUN_PY.encode()
    name = data.draw(st.sampled_from(sorted(files)))
    changed = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(changed)))
        part = st.sampled_from(
            [b"\n", b".", b"(", b"import ", b"from ", b"*", b"\\", b"\x00", b"\xff", b" as "]
        )
        changed[at : at + data.draw(st.integers(0, 8))] = data.draw(part)
    root = Path("/nowhere")
    modules = tuple(
        Module(
            root / n,
            n,
            n[:-3].replace("/", ".").removesuffix(".__init__"),
            bytes(changed) if n == name else text,
            root,
        )
        for n, text in files.items()
        if n.endswith(".py")
    )
    config = validate({"services": {"core": {"directory": "core", "port": 8001}}}, None)
    platform = Platform(root, config, environ={})
    imports = Imports(platform, Source(modules, (root,)), None)
    facts = Facts(platform, imports.source, imports, environment(platform))
    lines = {m.name: m.data.count(b"\n") + 1 for m in modules}
    for code in CODES:
        check = rules.checks()[code]
        for finding in check.function(**facts.arguments(check.facts)):
            assert isinstance(finding, Finding)
            if finding.place and finding.place.line:
                assert finding.place.line <= lines[finding.place.path]
            if not finding.data.get("no_fix"):
                fix = rules.fixes()[code]
                for action in fix.function(finding, **facts.arguments(fix.facts)):
                    assert undone(action.data, action.edits) == action.data  # type: ignore[attr-defined]


def test_launches_of_a_platform_without_services_are_none(tree: MakeTree) -> None:
    platform = tree({"lib/a.py": "X = 1\n"})
    assert Launches(platform, imports_of(platform)).ways == ()
