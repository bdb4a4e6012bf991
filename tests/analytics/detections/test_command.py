"""`tachograph detect`: its JSON, its table, its SQL, its refusals."""

from __future__ import annotations

import json

import pytest
from analytics.detections.stores import stored
from analytics.detections.twins import unapproved, write_only

from tachograph.cli import main
from tachograph.testing import recording
from tachograph_analytics.detections import rules, sql


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    with recording() as recorded:
        unapproved("clerk")
        write_only("seller")
        return str(stored(recorded, tmp_path_factory.mktemp("home")).path)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


def test_json_is_an_array_of_findings_and_finding_is_no_failure(home, capsys):
    assert main(["detect", "--home", home, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {tuple(one) for one in found} == {("rule", "pattern", "run_id", "span_id", "ts", "summary")}
    assert [one["rule"] for one in found] == ["write_unapproved"] * 5
    assert found[0]["summary"] == "refund (write, tier 1, timeout) ran with 0 of 1 approvers"
    assert found[0]["ts"].endswith("Z")


def test_json_without_findings_is_an_empty_array(home, capsys):
    assert main(["detect", "--home", home, "--json", "--rule", "write_no_key", "--rule", "fallback_silent"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("wide")
def test_people_get_groups_and_below_them_what_nobody_could_see(home, capsys):
    assert main(["detect", "--home", home]) == 0
    groups, _, blind = capsys.readouterr().out.partition("Not instrumented, so neither clean nor violated:")
    assert "5 times in 1 run." in groups
    assert "write_unapproved (needs approval)" in blind.split("seller: ")[1]
    assert "write_unapproved" not in blind.split("seller: ")[0]


@pytest.mark.usefixtures("wide")
def test_people_are_told_when_there_is_nothing(home, capsys):
    assert main(["detect", "--home", home, "--rule", "write_no_key"]) == 0
    assert capsys.readouterr().out == "No findings.\n"


def test_the_sql_is_shown_without_a_store(capsys):
    assert main(["detect", "--sql", "--rule", "write_no_key"]) == 0
    assert capsys.readouterr().out == f"-- write_no_key\n{sql('write_no_key')};\n"
    assert main(["detect", "--sql"]) == 0
    assert [line[3:] for line in capsys.readouterr().out.splitlines() if line.startswith("-- ")] == list(rules())


def test_an_unknown_rule_or_store_is_one_sentence_and_exit_2(home, tmp_path, capsys):
    assert main(["detect", "--home", home, "--rule", "write_approved"]) == 2
    assert capsys.readouterr().err.startswith("tachograph detect: there is no detection 'write_approved'; there are: ")
    assert main(["detect", "--home", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith(f"tachograph detect: there is no store at {tmp_path}")
