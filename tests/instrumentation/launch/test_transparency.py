"""A program under `tachograph run` writes the same, byte by byte, and ends the same as without it."""

# ruff: noqa: E501 - a small program stands on one line

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from instrumentation.launch.programs import child, end, start, write

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable

# Each is a script that has functions of the convention, so that hooks stand where it could notice them.
AGENT = """
import sys

class Refused(Exception):
    pass

def call_tool(tool, args):
    if args == 13:
        raise Refused(tool)
    return args

def handle(request):
    return call_tool("lookup", request)
"""

SCRIPTS = {
    "success": AGENT + "print(handle(11), file=sys.stderr); print(handle(17))",
    "exit code": AGENT + "print(handle(11)); sys.exit(3)",
    "exit text": AGENT + "handle(11); sys.exit('text')",
    "uncaught": AGENT + "print(handle(11))\nhandle(13)",
    "raised from": AGENT + "try:\n    handle(13)\nexcept Refused as error:\n    raise ValueError(17) from error",
    "group": AGENT
    + "try:\n    handle(13)\nexcept Refused as error:\n    raise ExceptionGroup('11', [error, KeyError(13)])",
    "own excepthook": AGENT
    + "sys.excepthook = lambda *a: print(a[0], a[1], a[2].tb_lineno, a[2].tb_next.tb_lineno)\nhandle(13)",
    "stdin": AGENT + "print([handle(line) for line in sys.stdin], input.__name__)",
    "argv": AGENT + "print(sys.argv, sys.orig_argv, sys.flags, sys.executable, __file__)",
    "path": AGENT + "print(sys.path, __spec__, __package__, __builtins__)",
    "names": "print([(k, type(v), v if type(v) is str else 0) for k, v in globals().items()], __loader__.path)",
    "main": AGENT + "print(vars(sys.modules['__main__']) is globals(), __name__)\nif __name__ == '__main__': print(13)",
    "at exit": "import atexit\natexit.register(lambda: print('__file__' in globals(), '__name__' in globals()))",
    "environment": "import os; print(sorted(os.environ.items()), os.getcwd(), os.getppid() != os.getpid())",
    "source": AGENT
    + "import inspect\nprint(inspect.getsource(handle), inspect.getsource(Refused), inspect.signature(handle))",
    "frames": AGENT + "print(handle.__module__, handle.__qualname__, handle.__name__, Refused.__module__)",
    "pickle": AGENT + "import pickle\nprint(pickle.loads(pickle.dumps((Refused('11'), handle)))[1] is handle)",
    "future": '"""Doc."""\nfrom __future__ import annotations\ndef handle(a: Nowhere) -> int: return 13\nprint(__doc__, handle.__annotations__)',
    "no future": "def handle(a: int): return 13\nprint(handle.__annotations__)",
    "cookie": b"# -*- coding: latin-1 -*-\ndef handle(a): return '\xe9'\nprint(ascii(handle(1)))",
    "not utf-8": b"print('\xe9')\n",
    "no syntax": "print(11)\ndef handle(:\n",
    "unknown name": AGENT + "handle(nowhere)",
    "missing import": AGENT + "import nowhere_to_be_found",
    "failing import": AGENT + "import failing",
    "no syntax in import": "import broken",
    "warning in import": "import warnings\nwarnings.simplefilter('always')\nimport warning",
    "sibling": "import sibling.agent\nprint(sibling.agent.handle(11), sibling.agent.__file__, sibling.agent.__spec__.origin)",
    "shadows": "import requests, logging.own\nprint(requests.OWN, logging.own.OWN)",
    "threads": AGENT
    + "import threading\nt = threading.Thread(target=lambda: print(handle(11)))\nt.start(); t.join()\nprint(t.name, threading.current_thread().name)",
    "asyncio": AGENT
    + "import asyncio\nasync def answer(x):\n    await asyncio.sleep(0)\n    return handle(x)\nprint(asyncio.run(answer(17)))\nasyncio.run(answer(13))",
    "spawn": AGENT
    + "import multiprocessing\nif __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(handle, [11, 17]))",
    "fork": AGENT
    + "import multiprocessing\nif __name__ == '__main__':\n    with multiprocessing.get_context('fork').Pool(1) as pool:\n        print(pool.map(handle, [11, 17]))",
    "recursion": AGENT + "def down(n): return down(n + 1)\ntry: down(0)\nexcept RecursionError as e: print(e)",
    "conditional": "try:\n    import nowhere\nexcept ImportError:\n    def handle(x): return x\nelse:\n    handle = None\nwith open(__file__):\n    def route(x): return x\nprint(handle(11), route(13))",
    "own interrupt": AGENT + "import os, signal\nos.kill(os.getpid(), signal.SIGINT)",
    "own end": AGENT + "import os\nprint(13, flush=True)\nos._exit(17)",
    "killed": AGENT + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
}
BESIDE = {
    "failing.py": "def handle(x):\n    return 1 / x\nhandle(0)\n",
    "broken.py": "def handle(:\n",
    "warning.py": "import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n",
    "sibling/agent.py": AGENT,
    "requests.py": "OWN = 11\n",
    "logging/__init__.py": "",
    "logging/own.py": "OWN = 13\n",
}


ELSEWHERE = {
    "app/agent.py": AGENT + "import beside\nprint(beside.handle(11), __file__, sys.path[0])\nhandle(13)",
    "app/beside.py": AGENT,
}
PACKAGE = {
    "desk/__init__.py": AGENT,
    "desk/__main__.py": AGENT + "from . import tools\nprint(tools.handle(11), sys.argv, __spec__.name)\nhandle(13)",
}
PACKAGE |= {"desk/tools.py": AGENT}
WORDS = {
    "in another folder": (ELSEWHERE, ["app/agent.py"]),
    "by a way round": (ELSEWHERE, ["./app/../app/agent.py"]),
    "a package": (PACKAGE, ["-m", "desk", "11"]),
    "a module": (PACKAGE, ["-m", "desk.tools", "-x"]),
    "no module": (PACKAGE, ["-m", "nowhere"]),
    "a folder": (PACKAGE | {"__main__.py": AGENT + "print(sys.argv, sys.path[0])\nhandle(13)"}, ["."]),
    "code": ({}, ["-Wi", "-uc", AGENT + "print(sys.argv, sys.path[0], handle(11))\nhandle(13)", "11"]),
    "isolated": (ELSEWHERE, ["-I", "app/agent.py"]),
    "optimised": (
        {"agent.py": AGENT + "print(__debug__, handle.__doc__, sys.warnoptions)\nassert handle(0)"},
        ["-OOW", "error", "agent.py"],
    ),
    "no file": ({}, ["nowhere.py"]),
    "no readable file": ({}, ["/dev/null"]),
}


def same(words: list[str], folder: Path, endpoint: str, stdin: str = "", **more: str) -> None:
    """Side by side: each takes its time to start."""
    alone = start(words, folder, **more)
    ours = start(child(words, folder, endpoint), folder, **more)
    expected = end(alone, stdin)
    assert end(ours, stdin) == expected


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_the_same(script: str, tmp_path: Path, endpoint: str):
    shadows = {name for name in BESIDE if name.startswith(("requests", "logging"))}
    beside = {name: text for name, text in BESIDE.items() if (name in shadows) == (script == "shadows")}
    write(tmp_path, {**beside, "agent.py": SCRIPTS[script]})
    same([PYTHON, "agent.py", "-v", "--", "two words"], tmp_path, endpoint, "11\n13\n")


@pytest.mark.slow
@pytest.mark.parametrize("way", WORDS)
def test_way_to_start_is_the_same(way: str, tmp_path: Path, endpoint: str):
    files, words = WORDS[way]
    write(tmp_path, files)
    same([PYTHON, *words], tmp_path, endpoint)


@pytest.mark.slow
def test_failure_of_ours_lets_the_program_run_and_is_said_once(tmp_path: Path):
    write(tmp_path, {"agent.py": SCRIPTS["exit code"], "broken/opentelemetry/__init__.py": "raise RuntimeError(17)"})
    words = [PYTHON, "agent.py"]
    ours = end(start(child(words, tmp_path, "http://127.0.0.1:9"), tmp_path, PYTHONPATH="broken"))
    alone = end(start(words, tmp_path))
    assert (ours.code, ours.out) == (alone.code, alone.out) == (3, "11\n")
    assert ours.errors == "tachograph: the program runs unrecorded: RuntimeError: 17\n"
