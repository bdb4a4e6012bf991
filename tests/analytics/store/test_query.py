"""SQL questions from the command line: answers as JSON, refusals as sentences."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from analytics.otlp import ASpan, traces
from analytics.services import home_at

from tachograph.cli import main
from tachograph_analytics.receiver.wal import Wal
from tachograph_analytics.store.decoder import work
from tachograph_analytics.store.query import Answer, QueryError, as_json, as_text, query
from tachograph_analytics.store.segment import ContentType, Encoding, Record, Signal

if TYPE_CHECKING:
    from tachograph_analytics.store.home import Home


@pytest.fixture
def home(tmp_path) -> Home:
    made = home_at(tmp_path)
    wal = Wal(made.wal)
    body = traces([ASpan(11, 13, {"own": "x"}, start_ms=0.017)]).SerializeToString()
    wal.append(Record(Signal.TRACES, Encoding.IDENTITY, ContentType.PROTOBUF, 11, body)).result(10)
    wal.close()
    work(made, once=True)
    return made


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT ts, attributes FROM spans", [{"ts": "2026-09-21T14:13:20.000017Z", "attributes": {"own": "x"}}]),
        ("SELECT * FROM runs", []),
        ("SELECT TIMESTAMPTZ '2026-11-24 12:00:00+01:00' AS t", [{"t": "2026-11-24T11:00:00Z"}]),
        ("SELECT DATE '2026-11-24' AS d, INTERVAL 90 SECOND AS i", [{"d": "2026-11-24", "i": 90.0}]),
        ("SELECT 'nan'::DOUBLE AS n, '-inf'::DOUBLE AS f, NULL AS z", [{"n": None, "f": None, "z": None}]),
        ("SELECT 1.25::DECIMAL(9, 2) AS d, sum(11) AS s, 2::UTINYINT AS u", [{"d": 1.25, "s": 11, "u": 2}]),
        (
            "SELECT '\\xFF'::BLOB AS b, [1, NULL] AS l, {'a': [true]} AS o",
            [{"b": "ff", "l": [1, None], "o": {"a": [True]}}],
        ),
        ("SELECT MAP {11: 'x'} AS m, 1 AS a, 2 AS a", [{"m": {"11": "x"}, "a": 1, "a_1": 2}]),
        (
            "SELECT UUID '00000000-0000-0000-0000-000000000011' AS u",
            [{"u": "00000000-0000-0000-0000-000000000011"}],
        ),
        ("WITH one AS (SELECT 11 AS n) FROM one", [{"n": 11}]),
    ],
)
def test_an_answer_is_an_array_of_row_objects(home, sql, expected):
    assert expected == json.loads(as_json(query(home, sql)))


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT", "Parser Error"),
        ("SELECT * FROM nothing", "Catalog Error: Table with name nothing does not exist"),
        ("", "these are 0"),
        ("SELECT 1; SELECT 2", "these are 2"),
        ("DROP VIEW runs", "only statements that read"),
        ("CREATE TABLE t (a INT)", "only statements that read"),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", "only statements that read"),
        ("ATTACH '/tmp/x.duckdb'", "only statements that read"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled by configuration"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(home, sql, sentence):
    with pytest.raises(QueryError, match=sentence):
        query(home, sql)


def test_not_even_a_copy_inside_a_select_touches_a_file(home):
    (file,) = home.table("spans").iterdir()
    before = file.read_bytes()
    with pytest.raises(QueryError, match="only statements that read"):
        query(home, f"WITH c AS (copy (SELECT 1 AS a) TO '{file}' (USE_TMP_FILE false)) SELECT 1")
    assert before == file.read_bytes()
    assert json.loads(as_json(query(home, 'SELECT 1 AS "copy"'))) == [{"copy": 1}]
    assert json.loads(as_json(query(home, "SELECT 'copy' AS c -- copy"))) == [{"c": "copy"}]


def test_the_command_prints_json(home, capsys):
    code = main(["query", "--home", str(home.path), "--json", "SELECT span_id FROM spans"])
    assert (code, capsys.readouterr().out) == (0, '[{"span_id": "000000000000000d"}]\n')


def test_the_command_prints_a_table(home, capsys):
    assert main(["query", "--home", str(home.path), "SELECT 11 AS eleven, NULL AS nothing, 'a' AS b"]) == 0
    assert capsys.readouterr().out == "eleven  nothing  b\n------  -------  -\n11               a\n"


def test_what_does_not_fit_is_a_block_a_row_and_nothing_is_cut():
    answer = Answer(("run_id", "n"), (("run_94411a494a4571e4", 11), ("run_2cdc51addf2aed5c", None)))
    assert as_text(answer, 25).splitlines()[2] == "run_94411a494a4571e4  11"
    assert as_text(answer, 20) == ("run_id  run_94411a494a4571e4\nn       11\n\nrun_id  run_2cdc51addf2aed5c\nn")
    assert as_text(Answer(("run_id",), ()), 3) == "no rows"


@pytest.mark.parametrize("sql", ["SELECT 1", "SELEC"])
def test_a_missing_home_and_broken_sql_are_one_sentence_and_exit_2(home, tmp_path, capsys, sql):
    where = tmp_path / "nowhere" if sql == "SELECT 1" else home.path
    assert main(["query", "--home", str(where), "--json", sql]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert captured.err.startswith("tachograph query: ")


def test_the_modules_of_the_commands_load_nothing_heavy():
    script = (
        "import sys, tachograph_analytics.commands.query, tachograph_analytics.commands.up\n"
        "print([name for name in ('duckdb', 'pyarrow', 'starlette', 'uvicorn', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", [["query", "SELECT count(*) FROM runs"], ["detect"]])
def test_a_damaged_store_is_one_sentence_that_names_the_file(home, capsys, words):
    (file,) = home.table("spans").iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    assert main([words[0], "--home", str(home.path), *words[1:]]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(file) in said
