"""Faults of what the requirements ask for."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, both, install, replace, uninstall, write
from tests.faults.packages import OVERRIDE, as_project

REQUIREMENTS = "backend/requirements.txt"
DEV = "backend/requirements-dev.txt"
PROJECT = "backend/pyproject.toml"


def resolves(copy: Copy) -> bool:
    """Whether uv finds versions for the requirements."""
    return (
        copy.run(
            "uv", "pip", "compile", "-q", "-p", str(copy.python), "requirements.txt"
        ).returncode
        == 0
    )


def uv_runs(copy: Copy) -> bool:
    return copy.run("uv", "pip", "list", "-p", str(copy.python), cwd=".").returncode == 0


JOSE = "python-jose[cryptography]>=3.5"


def mark_of_byte_order(copy: Copy) -> None:
    file = copy.path(REQUIREMENTS)
    file.write_bytes(b"\xef\xbb\xbf# by an editor of Windows\n" + file.read_bytes())


ENTRIES = [
    Fault(
        "PKG308",
        "two versions of one package",
        append(REQUIREMENTS, "HTTPX>=0.29\n"),
        also=("PKG302",),
        works=resolves,
        fixed=False,
        target="httpx",
    ),
    Fault(
        "PKG308",
        "a constraint that excludes the requirement",
        both(write("backend/limits.txt", "redis<5\n"), append(REQUIREMENTS, "-c limits.txt\n")),
        also=("PKG302",),
        works=resolves,
        fixed=False,
        target="redis",
    ),
    Fault(
        "PKG308",
        "the same package twice",
        append(REQUIREMENTS, "redis>=5\n"),
        fixed=False,
        target="redis",
    ),
    Healthy(
        "PKG308",
        "two versions for two Pythons",
        append(REQUIREMENTS, 'redis<5; python_version < "3.9"\n'),
    ),
    Healthy(
        "PKG308",
        "two versions for a Python that is not here",
        append(
            REQUIREMENTS,
            'numpy<2; python_version < "3.0"\nnumpy>=2; python_version < "3.0"\n',
        ),
    ),
    Healthy("PKG308", "asked for again by the developers' file", append(DEV, "httpx>=0.27\n")),
    Healthy(
        "PKG308",
        "two versions that an override of uv decides between",
        both(
            append(REQUIREMENTS, "-r more.txt\n"),
            write("backend/more.txt", "redis<5\n"),
            write("backend/pyproject.toml", OVERRIDE),
        ),
    ),
    Healthy(
        "PKG308",
        "a constraint of uv that agrees",
        both(
            as_project,
            append(PROJECT, '[tool.uv]\nconstraint-dependencies = ["redis<99", "numpy<2"]\n'),
        ),
    ),
    Healthy(
        "PKG308",
        "a group that is installed by itself",
        both(as_project, append(PROJECT, '[dependency-groups]\nold = ["redis<5"]\n')),
    ),
    Healthy(
        "PKG308",
        "groups and extras that are declared to conflict",
        both(
            as_project,
            append(
                PROJECT,
                '[project.optional-dependencies]\ncpu = ["numpy<2"]\ngpu = ["numpy>=2", "redis<5"]\n'
                '[dependency-groups]\nold = ["redis<5"]\n'
                '[tool.uv]\nconflicts = [[{ extra = "cpu" }, { extra = "gpu" }], '
                '[{ group = "old" }, { extra = "gpu" }]]\n',
            ),
        ),
    ),
    Fault(
        "PKG308",
        "a group that uv resolves with the rest",
        both(as_project, append(PROJECT, '[dependency-groups]\nold = ["redis<5"]\n[tool.uv]\n')),
        fixed=False,
        target="redis",
        group="project",
    ),
    Healthy(
        "PKG308",
        "pins beside a project that is installed without its dependencies",
        both(
            write(PROJECT, '[project]\nname = "p"\nversion = "1"\ndependencies = ["redis<5"]\n'),
            append(REQUIREMENTS, "-e .\n"),
            write("scripts/install.sh", "pip install --no-deps -r backend/requirements.txt\n"),
        ),
    ),
    Healthy(
        "PKG308",
        "a constraint that agrees",
        both(write("backend/limits.txt", "redis<99\n"), append(REQUIREMENTS, "-c limits.txt\n")),
    ),
    Fault(
        "PKG309",
        "what the extra brings was taken out",
        uninstall("cryptography"),
        target="python-jose",
        against=("PKG301", "PY101", "PY102", "PY103"),
        at="backend/requirements.txt:python-jose[cryptography]>=",
    ),
    Fault(
        "PKG309",
        "an extra asked for later",
        replace(REQUIREMENTS, "uvicorn>=0.30", "uvicorn[standard]>=0.30"),
        target="uvicorn",
    ),
    Fault(
        "PKG309",
        "an extra that does not exist",
        replace(REQUIREMENTS, JOSE, "python-jose[cryptografy]>=3.5"),
        fixed=False,
        target="python-jose[cryptografy]",
    ),
    Healthy(
        "PKG309",
        "another spelling",
        replace(REQUIREMENTS, JOSE, "Python_Jose[Cryptography]>=3.5"),
    ),
    Healthy(
        "PKG309",
        "an extra of which everything is there",
        replace(REQUIREMENTS, "email-validator>=2.1,<3", "pydantic[email]"),
    ),
    Healthy(
        "PKG309",
        "an extra that brings nothing here",
        replace(
            REQUIREMENTS, "pydantic>=2.9,<3", 'pydantic[timezone]>=2.9,<3; sys_platform != "win32"'
        ),
    ),
    Fault(
        "PKG312",
        "a pip without a resolver",
        install("pip==20.2.4"),
        target="pip",
        against=("PY101", "PY102", "PY103"),
    ),
    Fault(
        "PKG312",
        "a uv that the project excludes",
        write("pyproject.toml", '[tool.uv]\nrequired-version = "<0.1"\n'),
        works=uv_runs,
        fixed=False,
        target="uv",
    ),
    Healthy("PKG312", "an older pip that does", install("pip==22.3")),
    Healthy(
        "PKG312",
        "a uv that the project demands",
        write("pyproject.toml", '[tool.uv]\nrequired-version = ">=0.1"\n'),
    ),
    Fault(
        "PKG313",
        "a blank in a name",
        append(REQUIREMENTS, "fast api>=0.1\n"),
        works=resolves,
        fixed=False,
        target=f"{REQUIREMENTS}:18",
    ),
    Fault(
        "PKG313",
        "a file that is not there",
        append(REQUIREMENTS, "-r more.txt\n"),
        works=resolves,
        fixed=False,
    ),
    Healthy(
        "PKG313",
        "everything else that pip takes",
        append(
            REQUIREMENTS,
            "--no-binary :none:\n--extra-index-url=https://x.invalid/simple\n# -r none.txt\n"
            'pywin32==300 ; \\\n    sys_platform == "win32" \\\n    --hash=sha256:00\n\n',
        ),
    ),
    Healthy(
        "PKG313",
        "a mark of the byte order before a comment",
        mark_of_byte_order,
    ),
    Healthy("PKG313", "a word that stands on two lines", append(REQUIREMENTS, "any\\\nio\n")),
    Healthy("PKG313", "a marker that says nothing", append(REQUIREMENTS, "anyio>=1;\n")),
    Healthy("PKG313", "a page break", append(REQUIREMENTS, "\f# the next page\n\fanyio\n")),
    Healthy(
        "PKG313",
        "a variable of another shell",
        append(REQUIREMENTS, "--index-url=https://${USER_OF_INDEX}@x.invalid/\n# ==${VERSION}\n"),
    ),
]
