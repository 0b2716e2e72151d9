"""Makes the pictures of the HTML report in docs/images: `make pictures`.

The report is of a copy of the reference platform with faults in it, as a real browser shows it.
"""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.testbed import chromium, platforms

IMAGES = platforms.ROOT / "docs/images"
WIDTHS = (400, 1200)
SCHEMES = ("light", "dark")
TALLEST = 1200
"""Pixels: the beginning of a long page tells how it looks."""
FAULTS = {
    "backend/gateway/table.py": ("import ", "import jose\nimport "),
    "backend/.env": ("REGISTRY_URL=http://", "REGISTRY_URL="),
    "docker/Dockerfile.backend": ("COPY backend backend", "COPY backened backend"),
    "docker-compose.yml": ("127.0.0.1:8002:8002", "127.0.0.1:8001:8002"),
    "frontend/vite.config.js": ("'/api'", "'/apx'"),
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        root = Path(folder, "platform")
        platforms.copy_files(root)
        (root / "backend/.env").write_text((root / "backend/.env.example").read_text())
        for name, (old, new) in FAULTS.items():
            file = root / name
            text = file.read_text()
            assert old in text, name
            file.write_text(text.replace(old, new, 1))
        page = Path(folder, "report.html")
        argv = [
            "check",
            "--static",
            "--ignore",
            "PY102",
            "-C",
            str(root),
            "--format",
            f"html={page}",
        ]
        subprocess.run([sys.executable, "-m", "saas_doctor", *argv], check=False)
        IMAGES.mkdir(exist_ok=True)
        with chromium.page(Path(folder, "profile")) as tab:
            take(tab, page, IMAGES)


def take(tab: chromium.Page, page: Path, folder: Path) -> list[Path]:
    """A picture of the page for each width, in the light and in the dark."""
    made = []
    for scheme in SCHEMES:
        tab.media(prefers_color_scheme=scheme)
        for width in WIDTHS:
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
            tab.call("Emulation.setDeviceMetricsOverride", **size)
            tab.events.clear()
            tab.open(page.as_uri())
            height = min(tab.value("document.documentElement.scrollHeight"), TALLEST)
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            shot = tab.call(
                "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
            )
            made.append(folder / f"report-{scheme}-{width}.png")
            # Few colours do, and make it a fifth as large.
            picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
            picture.quantize(48, dither=Image.Dither.NONE).save(made[-1], optimize=True)
    return made


if __name__ == "__main__":
    main()
