"""Faults of installed packages and requirements."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import (
    Copy,
    Fault,
    Healthy,
    Inject,
    append,
    both,
    install,
    replace,
    uninstall,
    write,
)

REQUIREMENTS = "backend/requirements.txt"
HASH = "from shared.utils.security import hash_password; hash_password('secret')"


def hashes(copy: Copy) -> bool:
    return copy.imports(HASH)


def imports_core(copy: Copy) -> bool:
    return copy.imports("import core.main")


def agrees(copy: Copy) -> bool:
    """What `pip check` says, asked of uv."""
    return copy.run("uv", "pip", "check", "-p", str(copy.python)).returncode == 0


def metadata(package: str, change: Callable[[str], str]) -> Inject:
    """Change the headers that an installed package brings."""

    def inject(copy: Copy) -> None:
        (file,) = copy.path("backend/.venv/lib").glob(
            f"python*/site-packages/{package}-*.dist-info/METADATA"
        )
        file.write_text(change(file.read_text()))

    return inject


def another_package(name: str, *headers: str) -> Inject:
    """An installed package of which there is nothing but its metadata."""

    def inject(copy: Copy) -> None:
        (site,) = copy.path("backend/.venv/lib").glob("python*/site-packages")
        text = "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *headers, "", ""]
        )
        (site / f"{name}-1.0.dist-info").mkdir()
        (site / f"{name}-1.0.dist-info/METADATA").write_text(text)

    return inject


def as_project(copy: Copy) -> None:
    """The requirements stand in a pyproject.toml."""
    text = copy.path(REQUIREMENTS).read_text()
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    listed = "".join(f'    "{line}",\n' for line in lines if line)
    copy.path("backend/pyproject.toml").write_text(
        f'[project]\nname = "platform"\nversion = "1"\ndependencies = [\n{listed}]\n'
    )
    copy.path("saas-doctor.toml").write_text('requirements = ["backend/pyproject.toml"]\n')


def locked(name: str = "", version: str = "") -> Inject:
    """A pyproject.toml with a lock of what is installed, of one package at another version."""

    def inject(copy: Copy) -> None:
        as_project(copy)
        text = "version = 1\nrevision = 3\n"
        for folder in copy.path("backend/.venv/lib").glob("python*/site-packages/*.dist-info"):
            package, _, there = folder.name.removesuffix(".dist-info").partition("-")
            there = version if package == name else there
            text += f'\n[[package]]\nname = "{package}"\nversion = "{there}"\n'
        copy.path("backend/uv.lock").write_text(text)

    return inject


OVERRIDE = '[tool.uv]\noverride-dependencies = ["redis>=5.1"]\n'

ENTRIES = [
    Fault(
        "PKG301",
        "python-jose not installed",
        uninstall("python-jose"),
        works=hashes,
        target="python-jose",
        at="backend/requirements.txt:python-jose[cryptography]>=",
    ),
    Healthy(
        "PKG301",
        "a marker that does not hold",
        append(REQUIREMENTS, 'pywin32>=300; sys_platform == "win32"\n'),
    ),
    Healthy(
        "PKG301",
        "another spelling of the name",
        replace(REQUIREMENTS, "psycopg2-binary", "Psycopg2.Binary"),
    ),
    Fault(
        "PKG302",
        "httpx too old",
        install("httpx==0.24.1"),
        target="httpx",
        at="backend/requirements.txt:httpx>=",
    ),
    Healthy(
        "PKG302",
        "a pre-release in the range",
        replace(REQUIREMENTS, "httpx>=0.27,<0.29", "httpx>=0.27.0a1"),
    ),
    Fault(
        "PKG303",
        "the guide's Pydantic beside today's FastAPI",
        both(
            install("pydantic==2.5.3", "pydantic-core==2.14.6"),
            replace(REQUIREMENTS, "pydantic>=2.9,<3", "pydantic==2.5.3  # pinned"),
        ),
        works=imports_core,
        group="pydantic",
        # Installed anew, the pin makes everything else old enough to fit it.
        against=("PY102", "PY103"),
    ),
    Fault(
        "PKG303",
        "a pydantic-core of another Pydantic",
        install("pydantic-core==2.41.5"),
        works=imports_core,
        target="pydantic:pydantic-core",
        group="pydantic",
        at="backend/requirements.txt:pydantic>=",
    ),
    Healthy(
        "PKG303",
        "an older Pydantic that fits",
        install("pydantic==2.12.5", "pydantic-core==2.41.5"),
    ),
    Fault(
        "PKG304",
        "bcrypt 5 under passlib",
        install("bcrypt==5.0.0"),
        also=("PKG302",),
        works=hashes,
        group="bcrypt",
        at="backend/requirements.txt:bcrypt>=",
    ),
    Fault(
        "PKG304",
        "bcrypt 5 pinned under passlib",
        both(
            install("bcrypt==5.0.0"),
            replace(REQUIREMENTS, "bcrypt>=4.0.1,<5", "bcrypt==5.0.0  # newest"),
        ),
        works=hashes,
        group="bcrypt",
    ),
    Healthy("PKG304", "bcrypt 4.3, which only logs", install("bcrypt==4.3.0")),
    Healthy(
        "PKG304",
        "bcrypt 5 under libpass",
        both(
            uninstall("passlib"),
            install("libpass==1.9.4", "bcrypt==5.0.0"),
            replace(REQUIREMENTS, "passlib==1.7.4", "libpass>=1.9"),
            replace(REQUIREMENTS, "bcrypt>=4.0.1,<5", "bcrypt>=4.0.1"),
        ),
    ),
    Fault(
        "PKG305",
        "Pydantic 1 under code of Pydantic 2",
        install("pydantic==1.10.24"),
        also=("PKG302", "PKG303"),
        works=imports_core,
        group="pydantic",
        against=(
            "SRC202",
            "SRC210",
        ),  # under Pydantic 1 that is right
        at="backend/requirements.txt:pydantic>=",
    ),
    Fault(
        "PKG305",
        "Pydantic 1 required by code of Pydantic 2",
        replace(REQUIREMENTS, "pydantic>=2.9,<3", "pydantic<2"),
        also=("PKG302",),
        group="pydantic",
    ),
    Healthy("PKG305", "a wide range", replace(REQUIREMENTS, "pydantic>=2.9,<3", "pydantic>=1.10")),
    Healthy(
        "PKG305",
        "an import for either version",
        append(
            "backend/shared/utils/security.py",
            "\ntry:\n    from pydantic import field_validator\nexcept ImportError:\n    from pydantic import validator as field_validator\n",
        ),
    ),
    Fault(
        "PKG301",
        "email-validator not installed",
        uninstall("email-validator"),
        works=imports_core,
        group="email",
        at="backend/requirements.txt:email-validator>=",
    ),
    Fault(
        "PKG306",
        "email-validator of another age",
        install("email-validator==1.3.1"),
        also=("PKG302",),
        group="email",
        at="backend/requirements.txt:email-validator>=",
    ),
    Fault(
        "PKG306",
        "email-validator nowhere",
        both(
            uninstall("email-validator"),
            replace(REQUIREMENTS, "email-validator>=2.1,<3  # EmailStr\n", ""),
        ),
        works=imports_core,
        group="email",
        at="backend/shared/schemas/user.py:email: EmailStr",
    ),
    Fault(
        "PKG306",
        "email-validator installed and not required",
        replace(REQUIREMENTS, "email-validator>=2.1,<3  # EmailStr\n", ""),
        group="email",
        at="backend/shared/schemas/user.py:email: EmailStr",
    ),
    Healthy(
        "PKG306",
        "asked for by an extra",
        replace(REQUIREMENTS, "email-validator>=2.1,<3", "pydantic[email]>=2.9"),
    ),
    Fault(
        "PKG301",
        "python-jose of a pyproject.toml not installed",
        both(as_project, uninstall("python-jose")),
        works=hashes,
        target="python-jose",
        group="project",
    ),
    Healthy("PKG301", "the requirements in a pyproject.toml", as_project),
    Healthy(
        "PKG301",
        "a development group that nobody installed",
        both(
            as_project,
            append("backend/pyproject.toml", '[dependency-groups]\ndev = ["no-such-tool>=1"]\n'),
        ),
    ),
    Healthy(
        "PKG301",
        "a constraint on what is not asked for",
        both(write("backend/limits.txt", "celery<5\n"), append(REQUIREMENTS, "-c limits.txt\n")),
    ),
    Fault(
        "PKG302",
        "a constraint that excludes what is installed",
        both(write("backend/limits.txt", "redis<5.1\n"), append(REQUIREMENTS, "-c limits.txt\n")),
        target="redis",
    ),
    Fault(
        "PKG302",
        "another version than the lock's",
        locked("annotated_types", "0.6.0"),
        target="backend/uv.lock",
        group="project",
    ),
    Healthy("PKG302", "all as the lock says", locked()),
    Healthy(
        "PKG302",
        "a version that an override of uv asks for",
        both(
            as_project,
            replace("backend/pyproject.toml", '"redis>=5,<9"', '"redis>=5,<5.1"'),
            append("backend/pyproject.toml", OVERRIDE),
        ),
    ),
    Fault(
        "PKG302",
        "another version than an override of uv asks for",
        both(as_project, append("backend/pyproject.toml", OVERRIDE.replace(">=5.1", "<5.1"))),
        target="redis",
        fixed=False,  # pip does not know of it
        group="project",
    ),
    Healthy(
        "PKG307",
        "a version that an override of uv asks for",
        both(
            another_package("theirs", "Requires-Dist: redis<5.1"),
            append(REQUIREMENTS, "theirs\n"),
            write("backend/pyproject.toml", OVERRIDE),
        ),
        environment=True,
    ),
    Healthy(
        "PKG304",
        "libpass over passlib",
        both(
            install("libpass==1.9.4", "bcrypt==5.0.0"),
            replace(REQUIREMENTS, "bcrypt>=4.0.1,<5", "bcrypt>=4.0.1"),
        ),
    ),
    Fault(
        "PKG307",
        "a package's own requirement taken out",
        uninstall("anyio"),
        works=imports_core,
        target="anyio",
        at="backend/requirements.txt:fastapi>=",
    ),
    Fault(
        "PKG307",
        "a version that two others exclude",
        install("h11==0.13.0"),
        works=agrees,
        target="h11",
    ),
    Healthy(
        "PKG307",
        "requirements of another system and of extras",
        another_package(
            "somepackage",
            'Requires-Dist: pywin32>=300; sys_platform == "win32"',
            "Provides-Extra: test",
            'Requires-Dist: no-such-package>=2; extra == "test"',
            "Requires-Dist: Typing.Extensions>=4",
        ),
    ),
    Healthy(
        "PKG307",
        "a pre-release that is installed",
        metadata(
            "uvicorn",
            lambda text: text.replace("Requires-Dist: h11>=0.8", "Requires-Dist: h11>=0.8.0rc1"),
        ),
    ),
]
