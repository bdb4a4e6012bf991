"""docs/audit.md: what it shows is what one gets."""

from __future__ import annotations

import pytest
from docs.markdown import DOCS, blocks

from tachograph.audit.record import keep
from tachograph.cli import main
from tachograph.testing import CountingIds, recording

PAGE = DOCS / "audit.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("TACHOGRAPH_AUDIT_KEY", "TACHOGRAPH_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)
    with recording("desk") as recorded:
        keep(recorded.recorder, folder=tmp_path, threaded=False, ids=CountingIds())
        (example,) = blocks(PAGE, "python")
        exec(example.code, {})  # noqa: S102 - that is the test
        assert recorded.detections() == {}
    return tmp_path


def printed(capsys, folder, *words):
    main(["audit", *words, str(folder)])
    return capsys.readouterr().out.replace(str(folder), "AUDIT")


def test_the_page_shows_what_the_commands_print(folder, capsys):
    whole, tampered, shown = (block.code for block in blocks(PAGE, "text"))
    assert printed(capsys, folder, "verify") == whole
    assert printed(capsys, folder, "show") == shown
    (path,) = folder.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3] + lines[4:]))
    assert printed(capsys, folder, "verify") == tampered
