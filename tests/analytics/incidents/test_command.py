from __future__ import annotations

import json
from datetime import timedelta

import pytest
from analytics.app.recorded import append
from analytics.incidents.cases import FINGERPRINT, NOON, alerted, filled, noted
from analytics.services import home_at

from tachograph.cli import main
from tachograph_analytics.store.casebook import Casebook, View


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = filled(tmp_path_factory.mktemp("incident"))
    noted(home, "Its prompt grew.")
    casebook = Casebook(home)
    casebook.close(casebook.open("Old trouble", NOON - timedelta(days=1)), NOON)
    return home


@pytest.fixture
def tachograph(home, capsys):
    def called(*arguments):
        code = main(["incident", *arguments, "--home", str(home.path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def test_list_shows_those_that_go_on_first(tachograph):
    code, out, _ = tachograph("list")
    head, _, *lines = out.splitlines()
    assert (code, head.split()) == (0, ["id", "status", "severity", "agent", "opened", "closed", "notes", "title"])
    assert lines[0].split(None, 5) == [
        *(FINGERPRINT, "firing", "ticket", "support", "2026-03-13T12:00:00Z"),
        "1      support spends 3 times as much",
    ]
    assert lines[1].endswith("Old trouble")


def test_list_as_json(tachograph):
    _, out, _ = tachograph("list", "--json")
    first, second = json.loads(out)
    assert (first["id"], first["status"], first["opened"], first["closed"], first["notes"]) == (
        *(FINGERPRINT, "firing", "2026-03-13T12:00:00Z", None, 1),
    )
    assert (second["title"], second["status"], second["closed"]) == ("Old trouble", "closed", "2026-03-13T12:00:00Z")


def test_show_tells_the_timeline_and_the_notes(tachograph):
    code, out, _ = tachograph("show", FINGERPRINT)
    assert code == 0
    for words in ("Alert     TachographCostSpike", "release  Release 2.8 (canary) of support", "Its prompt grew."):
        assert words in out
    document = json.loads(tachograph("show", FINGERPRINT, "--json")[1])
    assert [moment["source"] for moment in document["timeline"]] == ["release", "release", "gate", "alert", "note"]
    assert document["notes"][0]["columns"] == ["release", "outcome", "cost", "input_tokens"]
    assert document["notes"][0]["rows"][-1][2] == 0.300000000013


STEERING = "\x1b]0;pwned\x07\x1b[31mred\x9b31m\x7f\u202e\u2028end"


@pytest.fixture
def steering(tmp_path, capsys):
    """Commands on a store all of whose texts would steer a terminal."""
    home = home_at(tmp_path)
    append(home, alerted("firing", NOON, summary=f"s{STEERING}", runbook_url=f"r{STEERING}"))
    casebook = Casebook(home)
    opened = casebook.open(f"evil{STEERING}\nsecond line", NOON, f"agent{STEERING}")
    casebook.write(opened, "cause", f"cause{STEERING}\n\tindented")
    casebook.add(
        opened, View(f"t{STEERING}", f"u{STEERING}", f"SELECT '{STEERING}'", ("c",), ((STEERING,),)), NOON, "n"
    )

    def called(*arguments):
        code = main(["incident", *arguments, "--home", str(home.path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return opened, called


def controls(text):
    return {sign for sign in text if not sign.isprintable()}


def test_list_and_show_do_not_let_foreign_text_steer_the_terminal(steering):
    opened, called = steering
    for arguments in (["list"], ["show", opened], ["show", FINGERPRINT]):
        code, out, _ = called(*arguments)
        assert (code, controls(out) - {"\n", "\t"}) == (0, set()), arguments
    _, out, _ = called("list")
    assert len(out.splitlines()) == 4
    assert "evil\ufffd]0;pwned\ufffd\ufffd[31mred\ufffd31m\ufffd\ufffd end second line" in out
    _, out, _ = called("show", opened)
    assert out.splitlines()[0].endswith(" end second line")
    assert "\n\tindented\n" in out


def test_json_escapes_what_steers_a_terminal_and_loses_nothing(steering):
    opened, called = steering
    for arguments in (["list"], ["show", opened], ["show", FINGERPRINT]):
        assert controls(called(*arguments, "--json")[1]) == {"\n"}, arguments
    document = json.loads(called("show", opened, "--json")[1])
    assert (document["title"], document["agent"]) == (f"evil{STEERING}\nsecond line", f"agent{STEERING}")
    assert document["notes"][0]["rows"] == [[STEERING]]


def test_json_keeps_letters_readable(home, tachograph):
    casebook = Casebook(home)
    casebook.write(FINGERPRINT, "fix", "Zurückgerollt 🙂")
    assert '"fix": "Zurückgerollt 🙂"' in tachograph("show", FINGERPRINT, "--json")[1]


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ([], "# support spends 3 times as much\n"),
        (["--format", "html"], "<!doctype html>\n"),
        (["--format", "csv"], "incident,kind,note,row,at,text,link,sql,command,"),
    ],
)
def test_export_writes_to_standard_output(tachograph, arguments, begins):
    code, out, _ = tachograph("export", FINGERPRINT, *arguments)
    assert (code, out.startswith(begins)) == (0, True)


def test_export_takes_the_form_from_the_files_name(tachograph, tmp_path):
    for name, begins in (("r.html", "<!doctype html>"), ("r.CSV", "incident,kind"), ("r.md", "# "), ("report", "# ")):
        file = tmp_path / name
        code, out, _ = tachograph("export", FINGERPRINT, "--output", str(file))
        assert (code, out) == (0, f"wrote {file} ({file.stat().st_size:,} bytes)\n")
        assert file.read_text("utf-8").startswith(begins)


def test_the_links_of_an_export_lead_where_it_is_told(tachograph):
    assert (
        "(https://app.example/tacho/spike?agent=support)"
        in tachograph("export", FINGERPRINT, "--app-url", "https://app.example/tacho/")[1]
    )
    assert tachograph("export", FINGERPRINT, "--app-url", "app.example")[0] == 2


@pytest.mark.parametrize("action", ["show", "export"])
def test_an_unknown_id_is_a_sentence_with_those_that_there_are(tachograph, action):
    code, out, err = tachograph(action, "nonsense")
    assert (code, out) == (2, "")
    assert err.startswith(f"tachograph incident: there is no incident 'nonsense': there are {FINGERPRINT}, i-")


def test_a_file_that_cannot_be_written_is_a_sentence(tachograph, tmp_path):
    code, _, err = tachograph("export", FINGERPRINT, "--output", str(tmp_path / "no" / "r.md"))
    assert code == 2
    assert "cannot be written: No such file or directory; name another file" in err


def test_a_store_without_incidents_says_so(tmp_path, capsys):
    home = home_at(tmp_path)
    assert main(["incident", "list", "--home", str(home.path)]) == 0
    assert capsys.readouterr().out == "No incidents: no alert was received here, and nobody opened one.\n"
    assert main(["incident", "list", "--json", "--home", str(home.path)]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["incident", "show", "x", "--home", str(home.path)]) == 2
    assert "there are none in this store yet" in capsys.readouterr().err
