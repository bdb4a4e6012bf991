from __future__ import annotations

import pytest

from tachograph.cli import main
from tachograph.registry import load as registry
from tachograph_alerts import render
from tachograph_alerts.catalogue import load


def test_the_committed_files_are_what_the_catalogue_says():
    assert render.stale(render.render(registry(), load(registry()))) == []


def test_check_names_the_stale_files_and_build_mends_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(render, "GENERATED", tmp_path / "generated")
    monkeypatch.setattr(render, "RUNBOOKS", tmp_path / "no such folder")
    monkeypatch.chdir(tmp_path)
    assert main(["alerts", "check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "generated/rules.yaml is stale: run `tachograph alerts build`.",
        "generated/alertmanager.yaml is stale: run `tachograph alerts build`.",
    ]
    assert main(["alerts", "build"]) == 0
    assert capsys.readouterr().out.splitlines() == ["wrote generated/rules.yaml", "wrote generated/alertmanager.yaml"]
    assert main(["alerts", "check"]) == 0


def test_without_promtool_the_tests_say_what_to_install(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert main(["alerts", "test"]) == 2
    assert "apt-get install prometheus" in capsys.readouterr().err


@pytest.mark.debian("promtool")
def test_the_rules_pass_their_unit_tests(capfd):
    assert main(["alerts", "test"]) == 0, capfd.readouterr()
