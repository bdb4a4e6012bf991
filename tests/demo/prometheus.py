"""A Prometheus over metrics that were written down as text with times."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from deploy.processes import answers, free_port, poll, read

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def prometheus_over(openmetrics: Path, folder: Path) -> Generator[str]:
    """The address of a Prometheus that answers over the blocks made from a text with times."""
    blocks = folder / "blocks"
    made = subprocess.run(
        [
            "promtool", "tsdb", "create-blocks-from", "--max-block-duration=240h", "openmetrics", openmetrics, blocks,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n", "ascii")
    url = f"http://127.0.0.1:{free_port()}"
    server = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={blocks}", "--storage.tsdb.retention.time=10y",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]  # fmt: skip
    with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as prometheus:
        try:
            poll("Prometheus", lambda: answers(f"{url}/-/ready"))
            yield url
        finally:
            prometheus.terminate()


def ask(url: str, expression: str, at: datetime) -> list[dict[str, Any]]:
    asked = urlencode({"query": expression, "time": at.timestamp()})
    return read(f"{url}/api/v1/query?{asked}")["data"]["result"]
