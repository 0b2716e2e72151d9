"""A real browser, driven over its own pipe: a page, its keys, its media, and what it complains of."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

from tests.testbed import require

OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    "--remote-debugging-pipe",
]
LIMIT = 90
"""Seconds for one answer, on a machine with much to do."""
KEYS = {"Tab": 9, " ": 32}


class Page:
    """One tab. The DevTools protocol: a JSON value each way, ended by a zero byte."""

    def __init__(self, to_it: int, from_it: int) -> None:
        self._to, self._from = to_it, from_it
        self._read, self._last = b"", 0
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + LIMIT
        while b"\0" not in self._read:
            ready, _, _ = select([self._from], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the browser said nothing for {LIMIT} s"
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has ended"
            self._read += more
        text, _, self._read = self._read.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """What JavaScript makes of it, in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        named = {"key": key, "windowsVirtualKeyCode": KEYS[key], **text}
        self.call("Input.dispatchKeyEvent", type="keyDown", **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def media(self, kind: str = "", **features: str) -> None:
        listed = [{"name": n.replace("_", "-"), "value": v} for n, v in features.items()]
        self.call("Emulation.setEmulatedMedia", media=kind, features=listed)

    def complaints(self) -> list[Mapping[str, Any]]:
        """What its console holds: errors, refused scripts and styles, failed requests."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [event["params"] for event in self.events if event.get("method") in kinds]


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    require(chromium, "chromium")
    its_in, to_it = os.pipe()
    from_it, its_out = os.pipe()
    # It reads from descriptor 3 and writes to 4.
    script = f'exec 3<&{its_in} 4>&{its_out}; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, "-", str(chromium), *OPTIONS, f"--user-data-dir={profile}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(its_in, its_out),
        start_new_session=True,
    )
    os.close(its_in)
    os.close(its_out)
    try:
        tab = Page(to_it, from_it)
        target = tab.call("Target.createTarget", url="about:blank")["targetId"]
        tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        yield tab
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(to_it)
        os.close(from_it)
