"""Each way to tamper with an audit file is found at its line, and an honest file is whole."""

from __future__ import annotations

import json

import pytest
from instrumentation.audit.entries import entry, records, written

from tachograph.audit.chain import Link, sealed
from tachograph.audit.entry import canonical
from tachograph.audit.verify import Absent, Stored, absent, by_chain, verify
from tachograph.errors import UsageError
from tachograph.registry import names as n

KEY = b"the key of the auditors"
COUNT = 13


@pytest.fixture
def path(tmp_path):
    return written(tmp_path, COUNT)


def change(path, edit):
    """Rewrites the file's lines; line numbers in the tests count from 1, `edit` gets a list."""
    lines = path.read_bytes().splitlines(keepends=True)
    edit(lines)
    path.write_bytes(b"".join(lines))


def found(path, key=None, stored=None):
    return [(finding.line, finding.what) for finding in verify(path, key, stored).findings]


def stored(path):
    return by_chain([Stored(r[n.AUDIT_CHAIN], r[n.AUDIT_SEQUENCE], r[n.AUDIT_HASH]) for r in records(path)[1:]])


def resealed(records, begin, key=None):
    """The records with every hash from index `begin` on computed anew, as somebody does who has read the source."""
    made = records[:begin]
    for record in records[begin:]:
        facts = {
            name: value
            for name, value in record.items()
            if name not in {n.AUDIT_CHAIN, n.AUDIT_SEQUENCE, n.AUDIT_PREVIOUS, n.AUDIT_HASH}
        }
        before = made[-1] if made else None
        link = (
            Link(record[n.AUDIT_CHAIN], -1, "0" * 64)
            if before is None
            else Link(record[n.AUDIT_CHAIN], before[n.AUDIT_SEQUENCE], before[n.AUDIT_HASH])
        )
        made.append(sealed(facts, link, key))
    return made


def write(path, records):
    path.write_bytes(b"".join(canonical(record) + b"\n" for record in records))


def test_an_honest_file_is_whole(path):
    checked = verify(path, None, stored(path))
    assert checked.whole
    assert (checked.entries, checked.vouched, checked.stored, checked.torn) == (COUNT, COUNT, COUNT, None)
    assert (checked.agent, checked.begun) == ("desk", "2026-01-01T00:00:01.000000000Z")


def test_a_keyed_file_is_whole_with_its_key_and_needs_it(tmp_path):
    path = written(tmp_path, COUNT, key=KEY)
    assert found(path, KEY) == []
    assert found(path, b"another") == [(1, "forged")]
    with pytest.raises(UsageError, match="TACHOGRAPH_AUDIT_KEY"):
        verify(path, None)


@pytest.mark.parametrize("line", [1, 5, COUNT + 1])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"desk", b"disk"),
        (b'":"', b'": "'),
        (b'"tachograph.audit.hash":"', b'"tachograph.audit.hash":"0'),
        (b'"tachograph.audit.sequence":', b'"tachograph.audit.sequence":9'),
    ],
    ids=["a letter", "a space", "the hash", "the place"],
)
def test_an_edited_byte_is_found_at_its_line(path, line, old, new):
    def edit(lines):
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)

    change(path, edit)
    assert found(path) == [(line, "edited")]


def test_every_single_byte_of_a_line_counts(path):
    whole = path.read_bytes()
    begin = whole.index(b"\n", whole.index(b"\n") + 1) + 1  # of line 3
    for place in range(begin, whole.index(b"\n", begin)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        assert [line for line, _ in found(path)] == [3], place


def test_a_deleted_line_is_missing_where_it_was(path):
    change(path, lambda lines: lines.pop(4))
    assert found(path) == [(5, "missing")]
    assert verify(path, None).vouched == 3


def test_several_deleted_lines_are_counted(path):
    def edit(lines):
        del lines[4:7]

    change(path, edit)
    (finding,) = verify(path, None).findings
    assert (finding.line, finding.sentence) == (5, "3 of the entries 4 to 6 are missing here")


def test_a_deleted_beginning_is_missing(path):
    def edit(lines):
        del lines[:3]

    change(path, edit)
    assert found(path) == [(1, "missing")]


def test_swapped_lines_are_found_both(path):
    def edit(lines):
        lines[4], lines[5] = lines[5], lines[4]

    change(path, edit)
    assert found(path) == [(5, "moved"), (6, "moved")]


def test_a_repeated_line_is_inserted(path):
    change(path, lambda lines: lines.insert(7, lines[4]))
    assert found(path) == [(8, "inserted")]


def test_an_inserted_line_that_fits_the_one_before_is_found(path):
    before = records(path)[4]
    forged = sealed(entry(99).facts(), Link(before[n.AUDIT_CHAIN], 4, before[n.AUDIT_HASH]), None)
    change(path, lambda lines: lines.insert(5, canonical(forged) + b"\n"))
    assert found(path) == [(6, "inserted")]


def test_a_line_of_another_chain_is_foreign(path, tmp_path):
    other = written(tmp_path, 3).read_bytes().splitlines(keepends=True)
    change(path, lambda lines: lines.insert(5, other[2]))
    assert found(path) == [(6, "foreign")]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\xfe\n", b"[" * 20_000 + b"\n", b"NaN\n"])
def test_a_line_that_is_no_record_is_said_and_nothing_else(path, line):
    change(path, lambda lines: lines.insert(5, line))
    assert found(path) == [(6, "unreadable")]


def test_a_line_overwritten_with_nonsense_is_one_finding(path):
    def edit(lines):
        lines[4] = b"nothing happened\n"

    change(path, edit)
    assert found(path) == [(5, "unreadable")]


def test_an_entry_whose_hash_was_made_anew_does_not_fit_the_next(path):
    def edit(lines):
        record = {**json.loads(lines[4]), n.GEN_AI_TOOL_NAME: "nothing"}
        lines[4] = canonical(resealed([json.loads(lines[3]), record], 1)[1]) + b"\n"

    change(path, edit)
    assert found(path) == [(5, "replaced")]


def test_a_chain_made_anew_is_found_by_its_key_or_by_the_store(tmp_path):
    plain, keyed = written(tmp_path, COUNT), written(tmp_path, COUNT, key=KEY)
    for path in (plain, keyed):
        known = stored(path)
        made = records(path)
        made[4][n.GEN_AI_TOOL_NAME] = "nothing"
        write(path, resealed(made, 4))
        if path is plain:
            assert found(path) == []  # that is what a chain without a key cannot prove
            assert found(path, None, known) == [(line, "contradicted") for line in range(5, COUNT + 2)]
        else:
            assert found(path, KEY) == [(5, "edited")]
            assert "until line 14" in verify(path, KEY).findings[0].sentence


def test_a_keyed_chain_made_anew_from_its_beginning_as_if_it_had_no_key_is_forged(tmp_path):
    path = written(tmp_path, COUNT, key=KEY)
    made = [{**record} for record in records(path)]
    made[0]["keyed"] = False
    write(path, resealed(made, 0))
    assert found(path) == []
    assert found(path, KEY) == [(1, "forged")]


def test_a_cut_end_is_found_with_the_store_only(path):
    known = stored(path)

    def edit(lines):
        del lines[-4:]

    change(path, edit)
    assert found(path) == []
    (finding,) = verify(path, None, known).findings
    assert (finding.line, finding.what) == (11, "cut")
    assert finding.sentence == "the store has entries up to 13, and 4 of them stood behind this end"
    assert verify(path, None, known).vouched == 9


def test_a_store_that_has_less_than_the_file_is_no_finding(path):
    known = {chain: {place: hash_ for place, hash_ in had.items() if place % 3} for chain, had in stored(path).items()}
    checked = verify(path, None, known)
    assert (checked.whole, checked.stored) == (True, 9)


@pytest.mark.parametrize("rest", [1, 40, -1])
def test_a_torn_end_is_no_tampering(path, rest):
    whole = path.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    path.write_bytes(whole[: begin + rest] if rest > 0 else whole[:rest])
    checked = verify(path, None)
    assert (checked.whole, checked.torn, checked.entries) == (True, COUNT + 1, COUNT - 1)


def test_a_torn_end_that_the_store_has_was_cut(path):
    known = stored(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert found(path, None, known) == [(COUNT + 1, "cut")]


def test_a_file_without_a_line_was_cut_where_the_store_knows_better(path):
    known = stored(path)
    path.write_bytes(b"")
    assert verify(path, None).whole
    assert [each.entries for each in absent(rows(known), [verify(path, None, known)])] == [COUNT]


def rows(known):
    return [Stored(chain, place, hash_, "desk") for chain, had in known.items() for place, hash_ in had.items()]


def test_a_file_that_is_gone_is_absent_and_a_chain_that_never_had_one_is_not(tmp_path, path):
    other = written(tmp_path, 3)
    all_rows = [*rows(stored(path)), *rows(stored(other)), Stored("audit_77", 1, "f" * 64, "desk")]
    assert absent(all_rows, [verify(path, None)]) == [Absent(other.stem, "desk", 3)]
    assert absent(all_rows, [verify(path, None), verify(other, None)]) == []
