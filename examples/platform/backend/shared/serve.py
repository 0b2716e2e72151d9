"""Runs a service: `run.py` of each one calls this."""

import argparse
import copy
import os
from typing import Any

import uvicorn
from uvicorn.config import LOG_LEVELS, LOGGING_CONFIG

from shared.config import get_settings


def serve(name: str, port: int, app: str = "main:app", app_dir: str | None = None) -> None:
    settings = get_settings()
    parser = argparse.ArgumentParser(description=f"Run the service {name}.")
    parser.add_argument("--host", default=settings.HOST)
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--log-level", default="info", choices=LOG_LEVELS)
    arguments = parser.parse_args()
    # The service tells the registry its address from the settings, so they must say the same.
    os.environ["HOST"] = arguments.host
    os.environ[f"{name.upper().replace('-', '_')}_PORT"] = str(arguments.port)
    get_settings.cache_clear()
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level=arguments.log_level,
        log_config=_log_config(name, LOG_LEVELS[arguments.log_level]),
        app_dir=app_dir,
    )


def _log_config(name: str, level: int) -> dict[str, Any]:
    """uvicorn's own logging, and the same lines in logs/<name>.log."""
    folder = get_settings().LOGS
    folder.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(LOGGING_CONFIG)
    config["formatters"]["file"] = {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    config["handlers"]["file"] = {
        "class": "logging.handlers.RotatingFileHandler",
        "filename": str(folder / f"{name}.log"),
        "maxBytes": 1_000_000,
        "backupCount": 2,
        "formatter": "file",
    }
    for logger in ("uvicorn", "uvicorn.access"):
        config["loggers"][logger]["handlers"].append("file")
    # Of the libraries only warnings: httpx tells of each heartbeat otherwise.
    config["root"] = {"handlers": ["default", "file"], "level": "WARNING"}
    for logger in ("shared", name):
        config["loggers"][logger] = {"level": level}
    return config
