"""Faults of installed packages and requirements."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, both, install, replace, uninstall

REQUIREMENTS = "backend/requirements.txt"
HASH = "from shared.utils.security import hash_password; hash_password('secret')"


def hashes(copy: Copy) -> bool:
    return copy.imports(HASH)


def imports_core(copy: Copy) -> bool:
    return copy.imports("import core.main")


ENTRIES = [
    Fault(
        "PKG301",
        "python-jose not installed",
        uninstall("python-jose"),
        works=hashes,
        target="python-jose",
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
        also=("PKG307",),
        target="httpx",
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
        against=("SRC202",),  # under Pydantic 1 its configuration is right
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
    ),
    Fault(
        "PKG306",
        "email-validator of another age",
        install("email-validator==1.3.1"),
        also=("PKG302",),
        group="email",
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
    ),
    Fault(
        "PKG306",
        "email-validator installed and not required",
        replace(REQUIREMENTS, "email-validator>=2.1,<3  # EmailStr\n", ""),
        group="email",
    ),
    Healthy(
        "PKG306",
        "asked for by an extra",
        replace(REQUIREMENTS, "email-validator>=2.1,<3", "pydantic[email]>=2.9"),
    ),
    Fault(
        "PKG307",
        "a package that another wants is gone",
        uninstall("ecdsa"),
        fixed=False,
        target="python-jose:ecdsa",
    ),
    Fault(
        "PKG307",
        "a package too old for another",
        install("h11==0.12.0"),
        fixed=False,
    ),
    Healthy("PKG307", "an extra that nobody asked for", install("bcrypt==4.0.1")),
    Fault(
        "PKG308",
        "two pins that differ",
        append(REQUIREMENTS, "httpx==0.26.0\nhttpx==0.27.0\n"),
        fixed=False,
        also=("PKG302",),
        target="httpx",
    ),
    Fault(
        "PKG308",
        "a pin outside of a range",
        append(REQUIREMENTS, "SQLAlchemy>=2.1\n"),
        fixed=False,
        also=("PKG302",),
        target="sqlalchemy",
    ),
    Healthy("PKG308", "the same twice", append(REQUIREMENTS, "httpx>=0.27\n")),
    Healthy(
        "PKG308",
        "two lines for two Pythons",
        append(
            REQUIREMENTS,
            'numpy<2; python_version < "3.0"\nnumpy>=2; python_version < "3.0"\n',
        ),
    ),
]
