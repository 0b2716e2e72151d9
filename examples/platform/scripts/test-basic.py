"""Imports what every service needs; ends with 0 when all of it can be imported."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

NAMES = {
    "shared.config": "get_settings",
    "shared.models": "User",
    "shared.schemas.service": "ServiceRegister",
    "shared.utils.security": "hash_password",
}


def main() -> int:
    failed = 0
    for module, name in NAMES.items():
        try:
            getattr(importlib.import_module(module), name)
        except Exception as error:
            failed += 1
            print(f"FAILED {module}.{name}: {type(error).__name__}: {error}")
        else:
            print(f"ok     {module}.{name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
