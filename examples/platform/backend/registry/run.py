"""Starts the service from any folder: `python run.py [--host H] [--port N] [--log-level L]`."""

import sys
from pathlib import Path

# python puts this folder on the path, but the packages lie one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared.config import get_settings  # noqa: E402
from shared.serve import serve  # noqa: E402

if __name__ == "__main__":
    serve("registry", get_settings().REGISTRY_PORT, "registry.main:app")
