"""A bare Typer app with as many commands as saas-doctor has, for comparison."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def one(name: str = "", size: int = 0, loud: bool = False) -> None:
    """One."""


@app.command()
def two(name: str = "", size: int = 0, loud: bool = False) -> None:
    """Two."""


@app.command()
def three(name: str = "", size: int = 0, loud: bool = False) -> None:
    """Three."""


@app.command()
def four(name: str = "", size: int = 0, loud: bool = False) -> None:
    """Four."""


@app.command()
def five(name: str = "", size: int = 0, loud: bool = False) -> None:
    """Five."""


@app.command()
def six(name: str = "", size: int = 0, loud: bool = False) -> None:
    """Six."""


@app.callback(invoke_without_command=True)
def root(version: bool = False) -> None:
    """The app."""
    if version:
        print("1.0")


if __name__ == "__main__":
    app()
