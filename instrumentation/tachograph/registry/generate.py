"""Writes names.py, instruments.py and docs/telemetry.md from registry.toml: `python -m tachograph.registry.generate`.

With --check nothing is written; the exit code is 1 and the stale files are named when one differs.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

from tachograph.registry.model import Attribute, MetricType, Registry, load

HERE = Path(__file__).parent
HEADER = '"""Generated from registry.toml by `make generate`; do not edit."""\n'


def constant(name: str) -> str:
    """The Python constant of a telemetry name: tachograph.run.id is RUN_ID, gen_ai.tool.name GEN_AI_TOOL_NAME."""
    return name.removeprefix("tachograph.").replace(".", "_").upper()


def names(registry: Registry) -> str:
    """Source of names.py: attributes, events, hooks and detections as constants."""
    lines = [HEADER, "from typing import Final", "", f'SCHEMA_VERSION: Final = "{registry.schema_version}"', ""]
    lines += [f'{constant(name)}: Final = "{name}"' for name in registry.attributes]
    lines += ["", *(f'EVENT_{constant(name)}: Final = "{name}"' for name in registry.events)]
    severities = ", ".join(f'"{name}": "{event.severity}"' for name, event in registry.events.items())
    lines += ["", f"EVENT_SEVERITY: Final = {{{severities}}}", ""]
    lines += [f"COMMON: Final = ({', '.join(constant(name) for name in registry.common)})"]
    lines += ["", f"HOOKS: Final = {registry.hooks!r}", ""]
    needs = ", ".join(f'"{d.name}": {d.needs!r}' for d in registry.detections.values())
    lines += [f"DETECTIONS: Final[dict[str, tuple[str, ...]]] = {{{needs}}}"]
    thresholds = {d.name: d.threshold for d in registry.detections.values() if d.threshold is not None}
    lines += ["", f"THRESHOLDS: Final[dict[str, float]] = {thresholds!r}"]
    return "\n".join(lines) + "\n"


def instruments(registry: Registry) -> str:
    """Source of instruments.py: one Instrument a metric that the agent side emits."""
    lines = [
        HEADER,
        "from dataclasses import dataclass",
        "from typing import Final",
        "",
        "",
        "@dataclass(frozen=True, slots=True)",
        "class Instrument:",
        '    """A metric as the agent side needs it; see MetricType. `zero`: label sets that are born at 0."""',
        "",
        "    name: str",
        "    kind: str",
        "    unit: str",
        "    brief: str",
        "    labels: tuple[str, ...]",
        "    buckets: tuple[float, ...] = ()",
        "    zero: tuple[tuple[str, ...], ...] = ()",
        "    zero_labels: tuple[str, ...] = ()",
        "    limit: int = 2000",
        '    combine: str = "max"',
        "",
        "",
    ]
    agent = [m for m in registry.metrics.values() if m.emitter == "agent"]
    shown = [m for m in registry.metrics.values() if m.emitter in {"agent", "endpoint"}]
    lines += [f"{constant(m.name)}: Final = {_instrument(m, registry)}" for m in shown]
    lines += ["", f"ALL: Final = ({', '.join(constant(m.name) for m in agent)},)"]
    return "\n".join(lines) + "\n"


def _instrument(metric: MetricType, registry: Registry) -> str:
    known = tuple(product(*(registry.attributes[label].values for label in metric.zero)))
    zero = known if metric.zero or (metric.instrument == "counter" and not metric.labels) else ()
    parts = [
        metric.name,
        metric.instrument,
        metric.unit,
        metric.brief,
        metric.labels,
        metric.buckets,
        zero,
        metric.zero,
        metric.limit,
        metric.combine,
    ]
    return f"Instrument({', '.join(repr(part) for part in parts)})"


def docs(registry: Registry) -> str:
    """The page docs/telemetry.md: tables of attributes, spans, events, metrics, detections and views."""
    out = ["# Telemetry", "", "Generated from the registry by `make generate`; do not edit.", ""]
    out += _table(
        "Spans",
        ("kind", "name", "pattern", "required", "recommended"),
        [(s.kind, s.name, s.pattern, _codes(s.required), _codes(s.recommended)) for s in registry.spans.values()],
    )
    out += [f"On every span and event: {_codes(registry.common)}.", ""]
    out += _table(
        "Events",
        ("event", "pattern", "severity", "required", "recommended"),
        [
            (f"`{e.name}`", e.pattern, e.severity, _codes(e.required), _codes(e.recommended))
            for e in registry.events.values()
        ],
    )
    out += _table(
        "Metrics",
        ("metric", "in Prometheus", "kind", "labels", "at 0 from the start", "what it counts"),
        [
            (f"`{m.name}`", f"`{m.prometheus}`", m.instrument, _codes(m.labels), "yes" if m.zero else "", m.brief)
            for m in registry.metrics.values()
        ],
    )
    out += _table(
        "Detections",
        ("rule", "pattern", "severity", "needs the hooks", "what must never happen silently"),
        [(f"`{d.name}`", d.pattern, d.severity, _codes(d.needs), d.brief) for d in registry.detections.values()],
    )
    out += _table(
        "Views of the store",
        ("view", "columns", "what a row is"),
        [(f"`{v.name}`", _codes((*v.columns, *v.computed)), v.brief) for v in registry.views.values()],
    )
    out += _table(
        "Attributes",
        ("attribute", "type", "values", "metric label", "also read as", "what it says"),
        [_attribute_row(a) for a in registry.attributes.values()],
    )
    return "\n".join(out).rstrip() + "\n"


def _attribute_row(a: Attribute) -> tuple[str, ...]:
    values = "" if a.name in {"tachograph.detection.rule", "tachograph.hook"} else ", ".join(a.values)
    return (f"`{a.name}`", a.type, values, "yes" if a.label else "", _codes(a.aliases), a.brief)


def _codes(names_: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names_)


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def main() -> int:
    """Writes the files, or with --check says which of them are stale."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    registry = load()
    root = HERE.parents[2]
    wanted = {
        HERE / "names.py": names(registry),
        HERE / "instruments.py": instruments(registry),
        root / "docs" / "telemetry.md": docs(registry),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(root)} is not what the registry says: run `make generate`.", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text := wanted[path], "utf-8")
            print(f"wrote {path.relative_to(root)} ({len(text.splitlines())} lines)")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
