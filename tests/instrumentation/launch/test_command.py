"""`tachograph run` as a command: what it records, what it says, and how it ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from analytics.services import decode_all
from instrumentation.launch.programs import end, environment, recorded, start, write

from tachograph_analytics.launch import run_store
from tachograph_analytics.listen import free_port
from tachograph_analytics.store.query import query

if TYPE_CHECKING:
    from tachograph_analytics.store.home import Home

PYTHON = sys.executable
EXAMPLE = str(Path(__file__).parents[3] / "examples" / "support_desk.py")
ANSWERS = "Gladly. Order A11 cost 49.00.\nGladly. Order B13 is refunded.\nGladly. Order C17 cost 1900.00.\n"
RUN = re.compile(r"run_[0-9a-f]{16}")

WAITING = """
import signal, sys, time
def handle(request):
    return request
handle(11)
{more}
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_agent_that_never_heard_of_us_is_recorded(endpoint: str, home: Home, tmp_path: Path):
    done = end(start(recorded([PYTHON, EXAMPLE], "--endpoint", endpoint), tmp_path))
    assert (done.code, done.out) == (0, ANSWERS)
    lines = done.errors.splitlines()
    runs = RUN.findall("\n".join(lines[1:4]))
    assert lines[0] == "tachograph: 3 runs of support_desk recorded"
    assert lines[4:] == [f"  sent to {endpoint}; with its store: tachograph trace {runs[2]}"]
    decode_all(home)
    found = query(
        home, "SELECT run_id, agent, outcome, tool_calls, llm_calls FROM runs WHERE agent = 'support_desk' ORDER BY ts"
    )
    assert found.rows == tuple(
        (run, "support_desk", "success", tools, 1) for run, tools in zip(runs, (1, 2, 1), strict=True)
    )


@pytest.mark.slow
def test_receiver_is_started_where_none_answers_and_gone_with_the_program(tmp_path: Path):
    folder = tmp_path / "home"
    words = recorded([PYTHON, EXAMPLE, "A11"], "--home", str(folder), "--service-name", "desk")
    done = end(start(words, tmp_path))
    assert (done.code, done.out) == (0, ANSWERS.splitlines(keepends=True)[0])
    run = RUN.findall(done.errors)[0]
    first, second, *rest = done.errors.splitlines()
    assert first == "tachograph: 1 run of desk recorded"
    assert re.fullmatch(rf"  {run}  success  \$[0-9.e-]+  [0-9.]+ s", second)
    assert rest == [f"  tachograph app --home {folder}", f"  tachograph trace {run} --home {folder}"]
    store = run_store(str(folder))
    assert query(store.home, "SELECT run_id, agent FROM runs").rows == ((run, "desk"),)
    assert store.receiver() is None


@pytest.mark.slow
def test_own_names_are_said_and_mapped(endpoint: str, tmp_path: Path):
    write(tmp_path, {"agent.py": "import tools\ndef serve(x):\n    return tools.use(x)\nprint(serve(13))\n"})
    write(tmp_path, {"tools.py": "def use(x):\n    return x\n"})
    words = [PYTHON, "agent.py"]
    without = end(start(recorded(words, "--endpoint", endpoint), tmp_path))
    assert without.errors.splitlines() == [
        "tachograph: no run of agent was recorded",
        "  no function has a name of the convention (docs/patterns)",
        "  not recognised: use, serve",
        "  say what they are, for instance --mapping use=handle",
    ]
    mapping = ("--mapping", "serve=handle", "--mapping", "use=call_tool", "--mapping", "vet=validate_request")
    mapped = end(start(recorded(words, "--endpoint", endpoint, *mapping), tmp_path))
    assert (without.out, mapped.out) == ("13\n", "13\n")
    lines = mapped.errors.splitlines()
    assert lines[0] == "tachograph: 1 run of agent recorded"
    assert lines[-1] == "  --mapping names what was never defined or cannot be hooked: vet"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "more", "code"),
    [
        (signal.SIGTERM, "", -15),
        (signal.SIGINT, "", -2),
        (signal.SIGHUP, "", -1),
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(11))", 11),
        (signal.SIGUSR1, "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(13))", 13),
    ],
)
def test_signal_reaches_the_program_and_ends_us_alike(number: int, more: str, code: int, endpoint: str, tmp_path: Path):
    write(tmp_path, {"agent.py": WAITING.format(more=more)})
    process = start(recorded([PYTHON, "agent.py"], "--endpoint", endpoint), tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    done = end(process)
    assert done.code == code
    assert "tachograph: 1 run of agent recorded" in done.errors
    assert ("KeyboardInterrupt" in done.errors) == (number == signal.SIGINT)
    assert "launch" not in done.errors


@pytest.mark.slow
def test_interrupt_at_the_terminal_comes_once(endpoint: str, tmp_path: Path):
    counting = "n = []\nsignal.signal(signal.SIGINT, lambda *_: n.append(1))"
    loop = "\ntime.sleep(1.5)\nprint('times', len(n), flush=True)\n"
    write(tmp_path, {"agent.py": WAITING.format(more=counting).replace("time.sleep(60)", loop.strip())})
    words = recorded([PYTHON, "agent.py"], "--endpoint", endpoint, "--quiet")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(words[0], words, environment())  # noqa: S606 - the command under test
    seen = b""
    try:
        while not re.search(rb"times \d+\r", seen):
            before = b"ready" in seen
            seen += os.read(terminal, 1024)
            if b"ready" in seen and not before:
                os.write(terminal, b"\x03")
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert (b"times 1" in seen, os.waitstatus_to_exitcode(status)) == (True, 0)


COUNTING = """
import signal, sys, time
n = []
signal.signal(signal.SIGTERM, lambda *_: n.append(1))
print("ready", flush=True)
while not n:
    time.sleep(0.01)
time.sleep(1.5)
print("times", len(n), flush=True)
"""


@pytest.mark.slow
def test_signal_to_our_process_group_comes_once(endpoint: str, tmp_path: Path):
    write(tmp_path, {"agent.py": COUNTING})
    process = start(recorded([PYTHON, "agent.py"], "--endpoint", endpoint), tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGTERM)
    done = end(process)
    assert (done.code, done.out) == (0, "times 1\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no other kernel ends a child with its parent")
def test_program_does_not_outlive_us(endpoint: str, tmp_path: Path):
    write(tmp_path, {"agent.py": WAITING.format(more="")})
    process = start(recorded([PYTHON, "agent.py"], "--endpoint", endpoint), tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=30)  # to the end of the output, which the program holds open: it sleeps for 60 s


@pytest.mark.slow
def test_arguments_may_be_as_long_as_the_system_lets_them(endpoint: str, tmp_path: Path):
    write(tmp_path, {"agent.py": "import sys\nprint(len(sys.argv), sum(map(len, sys.argv[1:])), len(sys.orig_argv))\n"})
    words = [PYTHON, "agent.py", *["x" * 11] * 17_000]  # one word of all of them would be beyond 128 KiB
    done = end(start(recorded(words, "--endpoint", endpoint), tmp_path))
    assert (done.code, done.out) == (0, "17001 187000 17002\n")


@pytest.mark.slow
def test_runs_of_a_pool_of_forked_processes_arrive(endpoint: str, home: Home, tmp_path: Path):
    agent = """
import multiprocessing
def handle(x): return x
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(sum(pool.map(handle, range(13))))
"""
    write(tmp_path, {"agent.py": agent})
    words = recorded([PYTHON, "agent.py"], "--endpoint", endpoint, "--service-name", "pool")
    done = end(start(words, tmp_path))
    lines = done.errors.splitlines()
    assert (done.code, done.out, lines[:2]) == (
        0,
        "78\n",
        ["tachograph: 13 runs of pool recorded", "  the last 5:"],
    )
    decode_all(home)
    assert query(home, "SELECT count(*) FROM runs WHERE agent = 'pool'").rows == ((13,),)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words", "sentence"),
    [
        ((), ["sh", "-c", "touch ran"], "sh is no Python program"),
        (("--mapping", "vet"), [PYTHON, "-c", "open('ran', 'w')"], "--mapping vet does not say OWN=CONVENTION"),
        (
            ("--mapping", "vet=cal_tool"),
            [PYTHON, "-c", "open('ran', 'w')"],
            "The mapping says that 'vet' is 'cal_tool'",
        ),
        (("--endpoint", "nowhere"), [PYTHON, "-c", "open('ran', 'w')"], "endpoint='nowhere' is no URL"),
        (
            ("--endpoint", "http://127.0.0.1:{port}"),
            [PYTHON, "-c", "open('ran', 'w')"],
            "nothing answers at http://127.0.0.1:{port}",
        ),
    ],
)
def test_what_cannot_be_recorded_does_not_run(
    options: tuple[str, ...], words: list[str], sentence: str, tmp_path: Path
):
    port = str(free_port())
    done = end(start(recorded(words, *(option.format(port=port) for option in options)), tmp_path))
    assert (done.code, done.out, done.errors.count("\n")) == (2, "", 1)
    assert done.errors.startswith("tachograph run: " + sentence.format(port=port))
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_program_may_set_its_own_providers(endpoint: str, tmp_path: Path):
    agent = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
trace.set_tracer_provider(mine)
def handle(x): return x
print(trace.get_tracer_provider() is mine, handle(17))
"""
    write(tmp_path, {"agent.py": agent})
    done = end(start(recorded([PYTHON, "agent.py"], "--endpoint", endpoint), tmp_path))
    assert (done.code, done.out) == (0, "True 17\n")
    assert done.errors.startswith("tachograph: 1 run of agent recorded\n")
