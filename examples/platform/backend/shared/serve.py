"""Runs a service: `run.py` of each one calls this."""

import argparse
import logging.config
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from shared.config import get_settings


def serve(name: str, port: int, app: str = "main:app", app_dir: str | None = None) -> None:
    settings = get_settings()
    parser = argparse.ArgumentParser(description=f"Run the service {name}.")
    parser.add_argument("--host", default=settings.HOST)
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--log-level", default="info")
    arguments = parser.parse_args()
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level=arguments.log_level,
        log_config=_log_config(name),
        app_dir=app_dir,
    )


def _log_config(name: str) -> dict[str, Any]:
    """uvicorn's own logging, and the same lines in logs/<name>.log."""
    folder = get_settings().LOGS
    folder.mkdir(exist_ok=True)
    config: dict[str, Any] = {**LOGGING_CONFIG, "handlers": dict(LOGGING_CONFIG["handlers"])}
    config["formatters"] = {
        **LOGGING_CONFIG["formatters"],
        "file": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    }
    config["handlers"]["file"] = {
        "class": "logging.handlers.RotatingFileHandler",
        "filename": str(folder / f"{name}.log"),
        "maxBytes": 1_000_000,
        "backupCount": 2,
        "formatter": "file",
    }
    config["loggers"] = {
        "uvicorn": {"handlers": ["default", "file"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["access", "file"], "level": "INFO", "propagate": False},
        "shared": {"handlers": ["default", "file"], "level": "INFO", "propagate": False},
    }
    return config
