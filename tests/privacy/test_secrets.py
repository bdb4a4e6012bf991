"""Personal data planted wherever content can hide, and looked for in all that an agent's process leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from analytics.services import decode_all, home_at, receiving
from privacy.planted import EVERY, KINDS, PATTERNED, PERSONS, PLACED, UNPATTERNED, UNSPACED, found
from pyarrow import parquet

from tachograph.privacy.identity import identifier
from tachograph.privacy.redaction import DEFAULT
from tachograph_analytics.detections.finding import detect
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph_analytics.store.home import Home

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Left:
    """What an agent's process left behind: files by place, its store."""

    files: dict[str, bytes]
    home: Home

    def everything(self) -> dict[str, bytes]:
        return {**self.files, **dict(stored(self.home))}


def play(folder: Path, level: str, *, audit_fails: bool = False, model: Path | None = None) -> Left:
    """Runs the agent against a real receiver; what it exports goes uncompressed, so that the WAL holds it as text."""
    home, out = home_at(folder), folder / "out"
    out.mkdir()
    planted = {
        "kinds": KINDS,
        "named": PATTERNED,
        "placed": PLACED,
        "audit_fails": audit_fails,
        "model": model and str(model),
    }
    with receiving(home) as (url, _):
        environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
            "OTEL_RESOURCE_ATTRIBUTES": f"app.note={quote('; '.join(KINDS.values()))},app.mail={quote(KINDS['email'])}",
            "TACHOGRAPH_CAPTURE": level,
            "TACHOGRAPH_AUDIT_DIR": str(folder / "audit"),
            "TACHOGRAPH_HASH_KEY": "k13",
        }
        command = [sys.executable, "-W", "error", "-m", "privacy.leaky", json.dumps(planted), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr.decode()
    files = {f"wal/{file.name}": file.read_bytes() for file in home.wal.rglob("*") if file.is_file()}
    files |= {f"out/{file.name}": file.read_bytes() for file in out.iterdir()}
    files |= {f"audit/{file.name}": file.read_bytes() for file in (folder / "audit").rglob("*") if file.is_file()}
    files |= {"stdout": done.stdout, "stderr": done.stderr}
    decode_all(home)
    return Left(files, home)


def stored(home: Home) -> Iterator[tuple[str, bytes]]:
    """Every file of the store as it lies there, and the rows of Parquet files as text."""
    for file in home.path.rglob("*"):
        if file.is_file():
            name = file.relative_to(home.path).as_posix()
            yield name, file.read_bytes()
            if file.suffix == ".parquet":
                rows = parquet.read_table(file).to_pylist()
                yield f"{name} (rows)", json.dumps(rows, default=str, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return play(tmp_path_factory.mktemp("off"), "off")


@pytest.fixture(scope="module")
def redacted(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return play(tmp_path_factory.mktemp("redacted"), "redacted")


def test_the_search_finds_each_kind_in_each_form():
    for kind, value in EVERY.items():
        for form in (value, value.upper(), quote(value, safe=""), value.encode().hex()):
            assert found({"file": f"before {form} after".encode()}, [kind]) != []
        assert found({"file": b"nothing of it"}, [kind]) == []
    assert found({"file": b"ssn 536904399"}, ["ssn"]) == [("file", "ssn", "536904399")]
    assert found({"file": b"dGhlIHNzbiA1MzYtOTAtNDM5OQ=="}, ["ssn"]) != []


@pytest.mark.slow
def test_by_default_nothing_of_all_is_anywhere(off: Left):
    assert found(off.everything(), EVERY) == []


@pytest.mark.slow
def test_redacted_content_has_none_of_the_six_with_a_pattern(redacted: Left):
    everything = redacted.everything()
    assert found(everything, [*PATTERNED, *PERSONS]) == []
    assert {kind for _, kind, _ in found(everything, UNSPACED)} == set(UNSPACED)  # what no analyzer is shown
    assert {kind for _, kind, _ in found(everything, UNPATTERNED)} == set(UNPATTERNED)  # what no pattern finds


@pytest.mark.slow
@pytest.mark.parametrize("level", ["off", "redacted"])
def test_all_of_it_was_recorded(level: str, request: pytest.FixtureRequest):
    left: Left = request.getfixturevalue(level)
    store = connect(left.home)
    counts = {
        view: store.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]  # noqa: S608 - the names below
        for view in ("runs", "llm_calls", "tool_calls", "checkpoints", "approvals", "routes", "evidence", "gates")
    }
    assert counts == {
        "runs": 2,
        "llm_calls": 3,
        "tool_calls": 3,
        "checkpoints": 2,
        "approvals": 1,
        "routes": 1,
        "evidence": 2,
        "gates": 1,
    }
    states = store.execute("SELECT DISTINCT tachograph_content_state FROM spans").fetchall()
    assert {state for (state,) in states} == ({None} if level == "off" else {None, "redacted"})
    assert b"tachograph_runs_total{" in left.files["out/metrics"]
    customer = identifier(" ".join(PATTERNED.values()), b"k13")
    assert f'app_orders_total{{customer="{customer}"'.encode() in left.files["out/metrics"]
    assert b": 4 hooked, 0 skipped\n" in left.files["stdout"], "all of the plain agent"
    assert any(name.startswith("audit/") for name in left.files)


@pytest.mark.slow
def test_a_failing_audit_log_says_nothing_of_what_it_failed_with(tmp_path: Path):
    left = play(tmp_path, "off", audit_fails=True)
    assert b"tachograph: the audit hook failed" in left.files["stderr"]
    assert found(left.everything(), KINDS) == []


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that knows persons and addresses, but none that is planted."""
    folder = tmp_path_factory.mktemp("model")
    command = [sys.executable, "-m", "privacy.names", str(folder)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(TESTS)}, timeout=300, check=True)
    return folder


@pytest.mark.slow
def test_redacted_content_has_nothing_of_all_eight_with_presidio(model: Path, tmp_path: Path):
    left = play(tmp_path, "redacted", model=model)
    everything = left.everything()
    assert found(everything, KINDS) == []
    rows = b"".join(content for name, content in everything.items() if name.endswith("(rows)"))
    assert (b"[person]" in rows, b"[address]" in rows) == (True, True)


@pytest.mark.slow
def test_full_content_is_raw_and_says_so_and_everything_else_is_redacted(tmp_path: Path):
    left = play(tmp_path, "full")
    spans = [
        row for file in left.home.table("spans").rglob("*.parquet") for row in parquet.read_table(file).to_pylist()
    ]
    content = [{key: value for key, value in row["attributes"] if DEFAULT.is_content(key)} for row in spans]
    assert {kind for _, kind, _ in found({"content": json.dumps(content).encode()}, KINDS)} == set(KINDS)
    assert {row["tachograph_content_state"] for row, kept in zip(spans, content, strict=True) if kept} == {"raw"}
    rest = [
        {**row, "attributes": [(key, value) for key, value in row["attributes"] if not DEFAULT.is_content(key)]}
        for row in spans
    ]
    assert found({"rest": json.dumps(rest, default=str).encode()}, PATTERNED) == []
    outside = {name: content for name, content in left.files.items() if not name.startswith("wal/")}
    assert found(outside, KINDS) == []
    rules = [finding.rule for finding in detect(connect(left.home))]
    assert "content_raw" in rules
