from __future__ import annotations

import shutil

import pytest

from tachograph.prices import generate


def test_the_committed_table_is_what_the_source_says(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert (generate.main(), capsys.readouterr().err) == (0, "")


@pytest.fixture
def stale(tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    shutil.copy(generate.TABLE, path)
    monkeypatch.setattr(generate, "TABLE", path)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return path


def test_a_stale_table_is_named(stale, monkeypatch, capsys):
    stale.write_text(stale.read_text("utf-8").replace('"in":2.5,', '"in":2.7,', 1), "utf-8")
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 1
    assert capsys.readouterr().err.startswith("table.json is not what genai-prices")


def test_writing_mends_a_stale_table(stale, monkeypatch):
    right = stale.read_text("utf-8")
    stale.write_text(right.replace('"in":2.5,', '"in":2.7,', 1), "utf-8")
    monkeypatch.setattr("sys.argv", ["generate"])
    assert generate.main() == 0
    assert stale.read_text("utf-8") == right


def test_another_version_of_the_source_needs_its_date(stale, monkeypatch, capsys):
    stale.write_text(
        stale.read_text("utf-8").replace('"source":"genai-prices ', '"source":"genai-prices 0', 1), "utf-8"
    )
    monkeypatch.setattr("sys.argv", ["generate", "--check"])
    assert generate.main() == 1
    assert "--date" in capsys.readouterr().err
