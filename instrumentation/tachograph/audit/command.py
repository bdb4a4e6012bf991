"""`tachograph audit`: whether the audit files are what was written, and what is in them."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from tachograph.cli import Command
from tachograph.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from tachograph.audit.verify import Absent, Checked, Stored

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _configure(parser: argparse.ArgumentParser) -> None:
    from tachograph.audit.entry import Action

    what = parser.add_subparsers(dest="what", metavar="verify|show", required=True)
    verify = what.add_parser("verify", help="every line and link of the files; exit code 1 where something is wrong")
    show = what.add_parser("show", help="the entries, oldest first")
    for each in (verify, show):
        each.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders (TACHOGRAPH_AUDIT_DIR)")
        each.add_argument("--json", action="store_true", help="print JSON")
    verify.add_argument("--home", metavar="DIR", help="compare with what the store of this folder has of the entries")
    show.add_argument("--run", metavar="ID", help="only entries of this run")
    show.add_argument("--action", choices=get_args(Action), help="only entries of this kind")
    show.add_argument("--since", metavar="TIME", help="only entries from then on: 2026-11-24T13:00 (UTC), or 90m, 2d")


def _run(arguments: argparse.Namespace) -> int:
    return _verify(arguments) if arguments.what == "verify" else _show(arguments)


def _verify(arguments: argparse.Namespace) -> int:
    from tachograph.audit.verify import absent, by_chain, verify
    from tachograph.config import audit_key

    rows = [] if arguments.home is None else _stored(arguments.home)
    found = _files(arguments.paths, or_store=bool(rows))
    key, stored = audit_key(os.environ), None if arguments.home is None else by_chain(rows)
    checked = [verify(path, key, stored) for path in found]
    gone = absent(rows, checked)
    if arguments.json:
        files = [{**asdict(each), "whole": each.whole} for each in checked]
        print(json.dumps({"files": files, "absent": [asdict(each) for each in gone]}))
    else:
        print("\n".join(_page(checked, gone)))
    return 0 if all(each.whole for each in checked) and not gone else 1


def _files(paths: list[Path], *, or_store: bool = False) -> list[Path]:
    from tachograph.audit.lines import files
    from tachograph.config import AUDIT_DIR

    folder = os.environ.get(AUDIT_DIR)
    if not paths and not folder:
        raise UsageError(f"name the audit files or their folder, or set {AUDIT_DIR}: tachograph audit verify PATH.")
    named = paths or [Path(folder or "").expanduser()]
    found = files(named)
    if not found and not or_store:
        where = ", ".join(map(str, named))
        raise UsageError(f"{where} has no audit file: an agent writes one with its first entry, as *.jsonl.")
    return found


def _stored(home: str) -> list[Stored]:
    """What the store has, by way of the package that owns stores."""
    found = entry_points(group="tachograph.services", name="audit_rows")
    try:
        return list(next(iter(found)).load()(home))
    except (StopIteration, ModuleNotFoundError) as error:
        raise UsageError("--home needs the store: pip install 'tachograph[analytics]'.") from error


def _page(checked: list[Checked], gone: list[Absent]) -> Iterable[str]:
    for each in checked:
        about = f"agent {each.agent}, begun {each.begun}, {_count(each.entries, 'entry', 'entries')}"
        store = "" if each.stored is None else f", {each.stored} of them in the store"
        yield f"{each.path}: {'whole' if each.whole else 'NOT WHOLE'}: {about}{store}"
        for finding in each.findings:
            yield f"  line {finding.line}: {finding.what}: {finding.sentence}"
        if each.torn is not None:
            yield f"  line {each.torn}: torn: {_torn(each)}"
        if each.findings:
            kept = f"entries 1 to {each.vouched}" if each.vouched else "no entry"
            yield f"  vouched for: {kept}"
    for each in gone:
        number = _count(each.entries, "entry", "entries")
        yield f"{each.chain}.jsonl: ABSENT: the store has {number} of agent {each.agent} that no file here has"
    wrong = sum(not each.whole for each in checked) + len(gone)
    yield f"{_count(len(checked), 'file', 'files')}: {f'{wrong} not whole' if wrong else 'all whole'}"


def _torn(each: Checked) -> str:
    """What is known of an end in the middle of a line: only the store can say whether more once stood there."""
    sentence = "this line has no end: it is being written, or its process ended, or somebody cut it"
    if each.stored is None:
        return f"{sentence}; --home DIR asks the store"
    cut = any(finding.what == "cut" for finding in each.findings)
    return f"{sentence}; the store has {'' if cut else 'no '}entries from here on"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _show(arguments: argparse.Namespace) -> int:
    from tachograph.audit.entry import TIME
    from tachograph.audit.lines import lines
    from tachograph.registry import names as n

    since = "" if arguments.since is None else _since(arguments.since)
    wanted = {n.RUN_ID: arguments.run, n.AUDIT_ACTION: arguments.action}
    asked = {name: value for name, value in wanted.items() if value is not None}
    entries: list[dict[str, Any]] = []
    for path in _files(arguments.paths):
        for line in lines(path, None):
            if line.record is None:
                sys.stderr.write(f"{path}: line {line.number} is no record: tachograph audit verify {path}\n")
            elif line.sequence and str(line.record.get(TIME)) >= since and asked.items() <= line.record.items():
                entries.append(line.record)
    entries.sort(key=lambda record: str(record.get(TIME)))
    print(json.dumps(entries) if arguments.json else "\n".join(map(_sentence, entries)) or "no entries")
    return 0


def _since(text: str) -> str:
    """ISO-8601 as the files have it, so that texts can be compared."""
    ago = _AGO.fullmatch(text)
    try:
        at = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
        return f"{(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"
    except (ValueError, OverflowError) as error:
        sentence = f"--since {text!r} is no time: give one like 2026-11-24T13:00, which is UTC, or 90m, 12h, 7d for ago"
        raise UsageError(sentence) from error


def _sentence(record: dict[str, Any]) -> str:
    """One entry on one line: when, what, who, and what an auditor asks first."""
    from tachograph.audit.entry import TIME
    from tachograph.registry import names as n

    shown = {
        "": _name(record),
        "status": record.get(n.APPROVAL_STATUS) or record.get(n.TOOL_OUTCOME),
        "tier": record.get(n.TOOL_TIER),
        "by": _people(record),
        "role": record.get(n.APPROVAL_APPROVER_ROLE),
        "verdict": record.get(n.GATE_VERDICT),
        "decision": record.get(n.GATE_DECISION),
        "limit": record.get(n.LIMITER_LIMIT, record.get(n.BUDGET_LIMIT)),
        "version": record.get(n.POLICY_VERSION),
        "arguments": record.get(n.TOOL_ARGUMENTS_HASH),
        "run": record.get(n.RUN_ID),
    }
    said = " ".join(f"{word} {value}".strip() for word, value in shown.items() if value is not None)
    line = f"{str(record.get(TIME))[:19]}Z  {record.get(n.AUDIT_ACTION):<8}  {record.get(n.GEN_AI_AGENT_NAME)}  {said}"
    return "".join(each if each.isprintable() else "\ufffd" for each in line)  # a name may try to steer the terminal


def _name(record: dict[str, Any]) -> object:
    from tachograph.registry import names as n

    names = (n.GEN_AI_TOOL_NAME, n.GATE_NAME, n.LIMITER_NAME, n.BUDGET_TYPE, n.POLICY_NAME)
    return next((record[name] for name in names if record.get(name) is not None), None)


def _people(record: dict[str, Any]) -> str | None:
    from tachograph.registry import names as n

    several = record.get(n.APPROVAL_APPROVERS)
    if isinstance(several, list) and several:
        return ", ".join(map(str, cast("list[object]", several)))
    one = record.get(n.APPROVAL_APPROVER_HASH)
    return one if isinstance(one, str) else None


COMMAND = Command("look at the audit log and verify that it is whole", _configure, _run)
