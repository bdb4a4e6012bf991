"""Every example of the documentation runs, and none does what must never happen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from analytics.detections.stores import stored
from docs.markdown import PATTERNS, blocks, name, page_of, pages, shown_after

import tachograph.testing
from tachograph.registry import load
from tachograph.telemetry import guard
from tachograph_analytics.store.home import Home
from tachograph_analytics.store.query import as_text, query
from tachograph_analytics.store.views import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

# An agent like the one of the reader: `import my_agent` in the examples is this module.
AGENT = """
def vet(request):
    return True

def handle(request):
    return vet(request)
"""

# What the reader has at hand where an example begins, by page.
GIVEN = {
    "README.md": """
from types import SimpleNamespace as Some
customer, clerk, messages, diff = Some(tenant="acme"), Some(id="clerk-17"), ["refund K13"], "117 USD -> 0 USD"
arguments, key = {"booking": "K13"}, "refund-K13"
client = Some(chat=lambda messages: Some(input_tokens=1711, output_tokens=131))
def refund(booking): return "done"
""",
    "docs/hooks.md": "import my_agent",
}

# What such a process must show when the examples are over.
SOUND = """
from tachograph.instrument import exposition
from tachograph.telemetry import guard
assert not guard.failures, guard.failures
counted = [line for line in exposition().decode().splitlines() if line.startswith("tachograph_detections_total{")]
assert counted, "nothing was recorded"
assert all(line.endswith(" 0.0") for line in counted), [line for line in counted if not line.endswith(" 0.0")]
tachograph.uninstrument()
"""

ANSWERED = sorted(PATTERNS.glob("*.md"))  # each query on these pages shows what the store says after its examples
EXAMPLES = [page for page in pages() if blocks(page, "python")]
WHOLE = [page for page in EXAMPLES if any("tachograph.instrument(" in block.code for block in blocks(page, "python"))]
_QUERY = re.compile(r'tachograph query (?:--home \S+ )?(?:--json )?"([^"…]+)"')


def queries() -> list[str]:
    fenced = [block.code for page in pages() for block in blocks(page, "sql")]
    return fenced + [query for page in pages() for query in _QUERY.findall(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", EXAMPLES, ids=name)
def test_no_example_is_left_out(page: Path):
    assert {block.info for block in blocks(page, "python")} == {"python"}


@pytest.mark.parametrize("page", [page for page in EXAMPLES if page not in WHOLE], ids=name)
def test_examples_run(page: Path):
    failures = guard.failures.total()
    with tachograph.testing.recording() as recorded:
        tests = play(page)
        assert recorded.detections() == {}
        if page_of(pattern := page.stem[:3].upper()) == page:
            assert of_pattern(pattern) <= {span["kind"] for span in recorded.spans()} | {
                event["name"] for event in recorded.events()
            }
    heard = [recorded]
    for test in tests:
        with tachograph.testing.recording() as recorded:
            test(recorded)
        heard.append(recorded)
    assert any(each.spans() or each.events() for each in heard)
    assert guard.failures.total() == failures


def play(page: Path) -> list[Callable[[tachograph.testing.Recorded], None]]:
    """Runs the examples of a page one after another; gives the tests among them, which pytest would run."""
    namespace: dict[str, Any] = {"__name__": "example"}
    for block in blocks(page, "python"):
        code = compile("\n" * (block.line - 1) + block.code, name(page), "exec")
        exec(code, namespace)  # noqa: S102 - that is the test
    return [value for given, value in namespace.items() if given.startswith("test_")]


@pytest.mark.parametrize("page", ANSWERED, ids=name)
def test_a_page_of_a_pattern_shows_a_test_and_what_the_store_says(page: Path, tmp_path: Path):
    with tachograph.testing.recording() as recorded:
        assert play(page) or page.name == "README.md"
    home = stored(recorded, tmp_path / "home")
    asked = blocks(page, "sql")
    assert len(asked) == 1
    for block in asked:
        assert shown_after(page, block) == as_text(query(home, block.code), None) + "\n"


def of_pattern(pattern: str) -> set[str]:
    """The spans and events that the examples of a pattern's page make."""
    registry = load()
    found = {kind for kind, span in registry.spans.items() if span.pattern == pattern}
    found |= {event for event, about in registry.events.items() if about.pattern == pattern}
    return found - {"tachograph.tool.retry"}  # in an example nothing fails


@pytest.mark.parametrize("page", WHOLE, ids=name)
def test_examples_of_a_whole_process_run_in_one(page: Path, tmp_path: Path):
    (tmp_path / "my_agent.py").write_text(AGENT, "utf-8")
    code = [GIVEN.get(name(page), ""), *(block.code for block in blocks(page, "python")), SOUND]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",  # the port that discards: nobody listens
    }
    command = [sys.executable, "-W", "error", "-c", "\n".join(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    hooked = "[1-9][0-9]*" if any("my_agent" in each for each in code) else "0"
    assert re.search(f": {hooked} hooked, 0 skipped", done.stdout)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    return connect(Home(tmp_path_factory.mktemp("store") / "home").create())


@pytest.mark.parametrize("query", queries())
def test_store_understands_the_query(query: str, store: duckdb.DuckDBPyConnection):
    assert store.execute(query).fetchall() is not None
