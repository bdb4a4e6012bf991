from __future__ import annotations

from tachograph.cli import main
from tachograph.registry import load
from tachograph_dashboards import render


def test_the_committed_boards_are_what_the_registry_says():
    assert render.stale(render.render(load())) == []


def test_rendering_twice_gives_the_same_bytes():
    assert render.render(load()) == render.render(load())


def test_check_names_the_stale_board_and_build_mends_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(render, "GENERATED", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["dashboards", "check"]) == 1
    assert capsys.readouterr().err == "overview.json is stale: run `tachograph dashboards build`.\n"
    assert main(["dashboards", "build"]) == 0
    assert capsys.readouterr().out == "wrote overview.json\n"
    assert main(["dashboards", "check"]) == 0
    assert capsys.readouterr() == ("", "")
