"""Runs a job of a GitHub workflow on this machine, step by step, as far as our action needs it.

The workflow and the composite actions are read as they are: `run` steps in bash, `env`, `if`,
expressions, inputs and outputs, and the files that steps write to (GITHUB_OUTPUT, GITHUB_ENV,
GITHUB_STEP_SUMMARY). Actions of others are functions from their inputs to their outputs.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

Inputs = Mapping[str, str]
Action = Callable[[Inputs], Mapping[str, str]]
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(&&|\|\||==|!=|!|\(|\)|,)|([A-Za-z_][\w.\-]*)|(\S))")
_PYTHON = {"&&": " and ", "||": " or ", "!": " not "}


class Job:
    """One job in `workspace`, a checkout of the repository. `temp` stays from one job to the next.

    `actions`: what `uses` names, as a function, or as the folder of a composite action.
    """

    def __init__(
        self, workspace: Path, temp: Path, actions: Mapping[str, Action | Path], **environ: str
    ) -> None:
        self.workspace = workspace
        self.temp = temp
        self.actions = actions
        self.environ = environ
        self.log = ""
        self.summary = ""
        self.failed = False
        self.codes: list[int] = []
        """How each `run` step ended."""
        self.outputs: dict[str, Mapping[str, str]] = {}

    def run(self, workflow: Path, name: str) -> Job:
        """Run every step of the job whose condition holds; the rest is passed over."""
        job = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"][name]
        self.outputs = self._steps(job["steps"], {})
        return self

    def _steps(
        self, steps: list[dict[str, Any]], inputs: Inputs, action: str = ""
    ) -> dict[str, Any]:
        outputs: dict[str, Mapping[str, str]] = {}

        def filled(text: object) -> str:
            return _EXPRESSION.sub(
                lambda found: _as_text(self._value(found[1], inputs, outputs)), _as_text(text)
            )

        for step in steps:
            condition = step.get("if", "success()")
            status = re.search(r"\b(success|failure|always|cancelled)\(", condition)
            if not self._value(condition, inputs, outputs) or (self.failed and not status):
                continue
            if "uses" in step:
                given = {k: filled(v) for k, v in step.get("with", {}).items()}
                try:
                    told = self._use(step["uses"], given)
                except OSError as error:  # as an action of others fails
                    self.log += f"{error}\n"
                    self.failed, told = True, {}
            else:
                environ = {key: filled(value) for key, value in step.get("env", {}).items()}
                told = self._bash(filled(step["run"]), {**environ, "GITHUB_ACTION_PATH": action})
            if "id" in step:
                outputs[step["id"]] = told
        return outputs

    def _use(self, name: str, given: Inputs) -> Mapping[str, str]:
        used = self.actions[name]
        if not isinstance(used, Path):
            return used(given)
        action = yaml.safe_load((used / "action.yml").read_text(encoding="utf-8"))
        assert set(given) <= set(action["inputs"])
        defaults = {k: _as_text(v.get("default", "")) for k, v in action["inputs"].items()}
        inputs = {**defaults, **given}
        outputs = self._steps(action["runs"]["steps"], inputs, str(used))
        return {
            name: _EXPRESSION.sub(
                lambda found: _as_text(self._value(found[1], inputs, outputs)), output["value"]
            )
            for name, output in action["outputs"].items()
        }

    def _bash(self, script: str, environ: Mapping[str, str]) -> Mapping[str, str]:
        with tempfile.TemporaryDirectory(dir=self.temp) as name:
            files = {
                variable: Path(name, variable)
                for variable in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")
            }
            for file in files.values():
                file.touch()
            (Path(name) / "script.sh").write_text(script)
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", f"{name}/script.sh"],
                cwd=self.workspace,
                env={
                    **self.environ,
                    "CI": "true",
                    "GITHUB_ACTIONS": "true",
                    "RUNNER_OS": "Linux",
                    **environ,
                    **{variable: str(file) for variable, file in files.items()},
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )
            self.log += done.stdout
            self.codes.append(done.returncode)
            self.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
            self.environ |= _pairs(files["GITHUB_ENV"])
            self.failed = self.failed or done.returncode != 0
            return _pairs(files["GITHUB_OUTPUT"])

    def _value(self, text: str, inputs: Inputs, outputs: Mapping[str, Mapping[str, str]]) -> Any:
        """What an expression is: its names are looked up, the rest is read as Python's."""
        words = {"runner.temp": str(self.temp), "runner.os": "Linux", "runner.arch": "X64"}
        words |= {f"inputs.{name}": value for name, value in inputs.items()}
        for step, told in outputs.items():
            words |= {f"steps.{step}.outputs.{name}": value for name, value in told.items()}
        functions = {
            "success": lambda: not self.failed,
            "failure": lambda: self.failed,
            "always": lambda: True,
        }
        python = ""
        for literal, sign, name, odd in _TOKEN.findall(text.strip()):
            assert not odd, f"{odd} in {text}"
            if literal:
                python += repr(literal[1:-1].replace("''", "'"))
            elif sign:
                python += _PYTHON.get(sign, sign)
            else:
                python += name if name in functions else repr(words.get(name, ""))
        return eval(python, {"__builtins__": {}}, functions)


def _pairs(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def shell() -> dict[str, str]:
    """What a job finds in its environment: the way to programs, and pip's settings of this machine."""
    kept = ("PATH", "HOME", "LANG")
    return {k: v for k, v in os.environ.items() if k in kept or k.startswith(("PIP_", "SSL_"))}
