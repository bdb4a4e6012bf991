"""The file that Python runs in the place of the program: records it, and is gone from its tracebacks.

Whatever of ours fails before the program begins: Python starts over with the program alone, in the same process.
"""

import sys

BEFORE = frozenset(sys.modules)
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the folder of this file; the program has its own

import json  # noqa: E402 - not out of the folder of this file
import os  # noqa: E402 - as above
import warnings  # noqa: E402 - as above

with open(sys.argv[1], encoding="ascii") as file:  # noqa: PTH123 - pathlib is not loaded yet
    PLAN = file.read()  # once: the file is gone when who wrote it is


def alone(reason: str | None = None) -> None:
    """Runs the program without us from here on."""
    if reason is not None:
        sys.stderr.write(f"tachograph: the program runs unrecorded: {reason}\n")
        sys.stderr.flush()
    command = json.loads(PLAN)["command"]
    os.execvp(command[0], command)  # noqa: S606 - the user's own command


try:
    with warnings.catch_warnings():  # -W error is meant for the program, and our imports add filters
        warnings.simplefilter("ignore")
        from tachograph.launch.start import Program

        program = Program.prepared(PLAN, BEFORE)
except Exception as error:  # noqa: BLE001 - whatever it is, the program runs
    alone(f"{type(error).__name__}: {error}")
else:
    if program is None:
        alone()
        raise SystemExit  # not reached: this process is the program's now
    try:
        program.run()
    except BaseException:
        program.vanish(__file__)
        raise  # to Python, which knows best what each exception means for the process
