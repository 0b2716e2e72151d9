"""Starts the plugin from any folder: `python run.py [--host H] [--port N] [--log-level L]`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The shared package lies in the platform's back end.
sys.path.insert(0, str(HERE.parents[2] / "backend"))

from shared.config import get_settings  # noqa: E402
from shared.serve import serve  # noqa: E402

if __name__ == "__main__":
    serve("demo-service", get_settings().DEMO_SERVICE_PORT, "main:app", app_dir=str(HERE))
