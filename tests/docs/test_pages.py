"""The pages say everything that there is, where one looks for it, and point at nothing that is not there."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest
from docs.markdown import DOCS, HOOKS, PATTERNS, ROOT, anchors, links, name, page_of, pages

import pytest_tachograph
import tachograph
from tachograph.plain.convention import CACHE_METHODS, NAMES
from tachograph.plain.degradations import PREFIXES
from tachograph.recording import Recording
from tachograph.registry import load
from tachograph.testing import Recorded

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = load()
TESTING = DOCS / "testing.md"
BOARDS = sorted((ROOT / "dashboards/tachograph_dashboards/generated").glob("*.json"))
ALERTS = tomllib.loads((ROOT / "alerts/tachograph_alerts/alerts.toml").read_text("utf-8"))["alert"]
PUBLIC = sorted(tachograph.__all__)


def says(page: Path, word: str) -> bool:
    return f"`{word}`" in page.read_text("utf-8")


def pattern_of_view(view: str) -> str:
    kind, _, source = REGISTRY.views[view].source.partition(":")
    return (REGISTRY.spans if kind == "span" else REGISTRY.events)[source].pattern


# -- the registry
@pytest.mark.parametrize("pattern", sorted({detection.pattern for detection in REGISTRY.detections.values()}))
def test_pattern_has_a_page(pattern: str):
    page = page_of(pattern)
    assert page.read_text("utf-8").startswith(f"# {pattern} ")
    assert page.name in links(PATTERNS / "README.md")


@pytest.mark.parametrize("rule", REGISTRY.detections)
def test_detection_is_on_the_page_of_its_pattern(rule: str):
    assert says(page_of(REGISTRY.detections[rule].pattern), rule)
    assert says(DOCS / "detections.md", rule)


@pytest.mark.parametrize("view", REGISTRY.views)
def test_view_is_on_the_page_of_its_pattern(view: str):
    assert says(page_of(pattern_of_view(view)), view)


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        (about.pattern, word)
        for group in (REGISTRY.spans, REGISTRY.events, REGISTRY.metrics)
        for word, about in group.items()
        if re.fullmatch(r"P\d\d", about.pattern)
    ],
)
def test_telemetry_is_on_the_page_of_its_pattern(pattern: str, word: str):
    assert says(page_of(pattern), word)


@pytest.mark.parametrize("alert", [alert for alert in ALERTS if "rule" in alert], ids=lambda alert: alert["name"])
def test_alert_is_on_the_page_of_its_detection(alert: dict[str, str]):
    page = page_of(REGISTRY.detections[alert["rule"]].pattern)
    assert f"../runbooks/{alert['name']}.md" in links(page)


@pytest.mark.parametrize("page", sorted(PATTERNS.glob("*.md")), ids=name)
def test_panels_and_alerts_that_a_page_names_exist(page: Path):
    panels = {panel["title"] for board in BOARDS for panel in json.loads(board.read_text("utf-8"))["panels"]}
    text = page.read_text("utf-8")
    emphasised = set(re.findall(r"(?<![*\w])\*(\w[^*\n]+)\*(?![*\w])", text)) - {"By convention", "By hand"}
    assert emphasised - panels - {"not instrumented"} == set()
    assert set(re.findall(r"Tachograph[A-Z]\w+", text)) <= {alert["name"] for alert in ALERTS}


@pytest.mark.parametrize("convention", [*NAMES, *CACHE_METHODS, *PREFIXES])
def test_name_of_the_convention_is_on_a_page(convention: str):
    assert any(says(page, convention) for page in PATTERNS.glob("*.md"))


# -- the public surface
def signature(public: str) -> str:
    """As a reader writes it: without annotations."""
    written: list[str] = []
    for parameter in inspect.signature(getattr(tachograph, public)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in written:
            written.append("*")
        default = parameter.default
        if default is parameter.empty or public == "Report":
            written.append(parameter.name)
        else:
            shown = f'"{default}"' if isinstance(default, str) else getattr(default, "__name__", repr(default))
            written.append(f"{parameter.name}={shown}")
    return f"{public}({', '.join(written)})"


def methods(public: str) -> set[str]:
    """What the value of a `with` has beyond what the machinery calls."""
    function = getattr(tachograph, public)
    made = re.fullmatch(r"Hook\[(\w+)\]", str(inspect.signature(function).return_annotation).strip("'"))
    if made is None:
        return set()
    step = vars(inspect.getmodule(function))[made[1]]
    return {each for each in vars(step) if not each.startswith("_") and each not in vars(Recording)}


@pytest.mark.parametrize("public", PUBLIC)
def test_public_name_is_on_the_page_of_hooks_with_its_signature(public: str):
    row = next(line for line in HOOKS.read_text("utf-8").splitlines() if line.startswith(f"| `{public}("))
    assert f"`{signature(public)}`" in row
    assert {each for each in methods(public) if f"`{each}`" not in row} == set()


@pytest.mark.parametrize("public", PUBLIC)
def test_hook_is_on_the_page_of_its_pattern(public: str):
    about = inspect.getmodule(getattr(tachograph, public)).__doc__ or ""
    pattern = re.match(r"P\d\d", about)
    assert pattern is None or f"tachograph.{public}(" in page_of(pattern[0]).read_text("utf-8")


@pytest.mark.parametrize("assertion", [each for each in vars(Recorded) if each.startswith("assert_")])
def test_assertion_is_on_the_page_of_tests_with_its_words(assertion: str):
    row = next(line for line in TESTING.read_text("utf-8").splitlines() if f"| `{assertion}(" in line)
    written: list[str] = []
    for parameter in list(inspect.signature(getattr(Recorded, assertion)).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in written:
            written.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        written += [] if parameter.name == "times" else [stars + parameter.name]
    assert f"`{assertion}({', '.join(written)})`" in row


@pytest.mark.parametrize("fixture", re.findall(r"def (tachograph_\w+)\(", inspect.getsource(pytest_tachograph)))
def test_fixture_is_on_the_page_of_tests(fixture: str):
    assert says(TESTING, fixture)


def test_settings_of_instrument_are_on_the_page_of_hooks():
    arguments = inspect.signature(tachograph.instrument).parameters
    config = inspect.getsource(__import__("tachograph.config", fromlist=["read"]))
    variables = set(re.findall(r'"((?:OTEL|TACHOGRAPH)_[A-Z_]+)"', config))
    assert len(variables) > 7
    assert [word for word in (*arguments, *sorted(variables)) if not says(HOOKS, word)] == []


# -- the repository
@pytest.mark.parametrize("page", pages(), ids=name)
def test_relative_link_leads_somewhere(page: Path):
    broken: list[str] = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        if "://" in path:
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("command", sorted(entry.name for entry in entry_points(group="tachograph.commands")))
def test_command_is_explained(command: str):
    entry = next(iter(entry_points(group="tachograph.commands", name=command)))
    assert entry.load().help
    texts = [page.read_text("utf-8") for page in (ROOT / "README.md", *DOCS.rglob("*.md"))]
    assert any(f"tachograph {command}" in text for text in texts)
