"""What an agent's process gets: few distributions, light imports, and an agent that runs in them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("duckdb", "pyarrow", "pandas", "numpy", "streamlit", "grafanalib", "grpc", "ibis", "starlette", "rich", "yaml")

AGENT = """
import json, sys
import tachograph
heavy = sorted(set(sys.modules) & set(json.loads(sys.argv[1])))

class Agent:
    def handle(self, request, *, tenant):
        self.validate_request(request)
        return self.call_tool("lookup", "customer", {"key": request})

    def validate_request(self, request):
        return bool(request)

    def call_tool(self, tool, actor, args, *, idempotency_key=None):
        return args["key"].upper()

report = tachograph.instrument(Agent, service_name="desk", endpoint="http://127.0.0.1:1", metrics_port=0)
answer = Agent().handle("a", tenant="acme")
from tachograph.instrument import exposition
counted = [line for line in exposition().decode().splitlines() if line.startswith("tachograph_tool_executions_total")]
after = sorted(set(sys.modules) & set(json.loads(sys.argv[1])))
print(json.dumps([heavy, after, [hooked.hook for hooked in report.hooked], answer, len(counted), counted[0][-3:]]))
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The Python of an environment with tachograph and no extra."""
    folder = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None, "make test puts uv beside the project's Python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), str(ROOT)], check=True)
    return python


def run(python: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-c", textwrap.dedent(code), *arguments],
        capture_output=True, text=True, timeout=60, check=False, cwd=python.parent,
    )  # fmt: skip


@pytest.mark.slow
def test_a_base_install_is_at_most_twenty_distributions(base):
    code = "import importlib.metadata as m; print(len({d.name for d in m.distributions()}))"
    assert int(run(base, code).stdout) <= 20


@pytest.mark.slow
def test_importing_and_instrumenting_loads_nothing_heavy_and_the_agent_runs(base):
    done = run(base, AGENT, json.dumps(HEAVY))
    assert done.returncode == 0, done.stderr
    hooks = ["run", "checkpoint.pre_request", "tool"]
    assert json.loads(done.stdout.splitlines()[-1]) == [[], [], hooks, "A", 1, "1.0"]


extras = [
    ("query SELECT", "analytics"),
    ("detect", "analytics"),
    ("up", "analytics"),
    ("app --port 0", "analytics"),
    ("import spans.json", "analytics"),
    ("trace run_17", "analytics"),
    ("incident list", "analytics"),
    ("demo --headless", "analytics"),
    ("dashboards check", "dashboards"),
    ("alerts check", "dashboards"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "extra"), extras)
def test_a_command_that_needs_an_extra_names_it(base, words, extra):
    done = run(base, f"from tachograph.cli import main; raise SystemExit(main({words.split()}))")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"pip install 'tachograph[{extra}]'" in done.stderr


@pytest.mark.slow
def test_a_program_is_not_run_where_nothing_could_record_it(base, tmp_path):
    script = tmp_path / "agent.py"
    script.write_text("print('ran')", "utf-8")
    words = f"['run', '--home', {str(tmp_path / 'home')!r}, '--', sys.executable, {str(script)!r}]"
    done = run(base, f"import sys; from tachograph.cli import main; raise SystemExit(main({words}))")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'tachograph[analytics]'" in done.stderr


@pytest.mark.slow
def test_every_command_says_what_it_is_for(base):
    done = run(base, "from tachograph.cli import main; main(['--help'])")
    assert done.returncode == 0
    listed = {words[0] for line in done.stdout.splitlines() if (words := line.split()) and line.startswith("    ")}
    assert {"alerts", "app", "dashboards", "demo", "detect", "lint", "query", "up"} <= listed
