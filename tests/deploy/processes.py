"""Services of docker-compose.yml as processes on free ports, with the very files and arguments that compose gives them.

Replaced are only hosts and ports, the names of the binaries, and a container's folders by folders below the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
TOKEN = "a secret of the test"  # noqa: S105 - guards nothing
# What the images call their binaries, and what they are called here.
BINARIES = {
    "prometheus": ["prometheus"],
    "alertmanager": ["prometheus-alertmanager"],
    "tachograph": [sys.executable, "-m", "tachograph"],
}
_FOLDERS = re.compile(r"(?<=[\s=])/(?=(?:etc|tmp|data|prometheus|alertmanager|history)\b)")
_DEADLINE_S = 60.0


def compose() -> dict[str, Any]:
    """docker-compose.yml as data."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def mounts(service: str) -> dict[str, Path]:
    """What a service mounts from the checkout: path in the container, file or folder here."""
    pairs = (volume.split(":") for volume in compose()["services"][service].get("volumes", []))
    return {parts[1]: ROOT / parts[0] for parts in pairs if parts[0].startswith("./")}


def free_port() -> int:
    """A port of loopback that nothing listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def poll(what: str, condition: Callable[[], Any], deadline_s: float = _DEADLINE_S) -> Any:
    """The first true value of `condition`; an AssertionError names what did not come in time."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {deadline_s:g} s")


def answers(url: str) -> bool:
    """Whether something answers at a URL, and well."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def read(url: str) -> Any:
    """The JSON behind a URL."""
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own
        return json.load(response)


@dataclass(slots=True)
class Stack:
    """Processes of one test; `addresses` maps host:port of compose to host:port of this machine."""

    folder: Path
    addresses: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, service: str, *more: str) -> None:
        """Starts a service as compose would, with `more` arguments that say where it listens."""
        for there, source in mounts(service).items():
            copy = self.path(service, there)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(self.local(source.read_text("utf-8"), service), "utf-8")
        self.path(service, "/tmp").mkdir(parents=True, exist_ok=True)  # noqa: S108 - the container's, below folder
        before, command = self._commands(service)
        environment = os.environ | {"TACHOGRAPH_TOKEN": TOKEN}
        subprocess.run(["/bin/sh", "-c", before], check=True, env=environment)
        binary, *arguments = shlex.split(command)
        with (self.folder / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                [*BINARIES[binary], *arguments, *more], stdout=log, stderr=log, env=environment
            )

    def path(self, service: str, there: str) -> Path:
        """Where a path of the service's container is here."""
        return self.folder / service / there.strip("/")

    def local(self, text: str, service: str) -> str:
        """`text` with the hosts, ports and folders of this machine."""
        for there, here in self.addresses.items():
            text = text.replace(there, here)
        return _FOLDERS.sub(f"{self.folder / service}/", text)

    def logs(self) -> str:
        """What all services have written so far."""
        return "\n".join((self.folder / f"{name}.log").read_text("utf-8") for name in self.processes)

    def _commands(self, service: str) -> tuple[str, str]:
        """What the container's shell runs before it execs, and what it execs; nothing and all for our own image."""
        definition = compose()["services"][service]
        if definition.get("entrypoint") == ["/bin/sh", "-c"]:
            (script,) = definition["command"]
            before, _, command = self.local(script.replace("$$", "$"), service).partition("exec ")
            return before, command
        return "", self.local(shlex.join(["tachograph", *definition["command"]]), service)


@contextmanager
def stack(folder: Path, addresses: dict[str, str]) -> Iterator[Stack]:
    """A stack whose processes end with the test; what they wrote is shown when it fails."""
    running = Stack(folder, addresses)
    try:
        yield running
    except BaseException:
        sys.stderr.write(running.logs())
        raise
    finally:
        for process in running.processes.values():
            process.terminate()
        for process in running.processes.values():
            process.wait(timeout=20)
