"""An analyzer of the user's finds what no pattern does, in export threads only; none that is missing is downloaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tachograph.config import read
from tachograph.errors import UsageError
from tachograph.export.outgoing import outgoing_attributes
from tachograph.privacy import analyzer as analyzers
from tachograph.privacy.redaction import Redacted, Redaction, redact
from tachograph.telemetry import guard


@dataclass(frozen=True)
class Found:
    entity_type: str
    start: int
    end: int
    score: float = 0.9


class Words:
    """Knows some words; notes what it is asked."""

    def __init__(self, *known, languages=None):
        self.known = known
        self.asked = []
        if languages:
            self.supported_languages = languages

    def analyze(self, text, language):
        self.asked.append((text, language))
        return [Found(kind, text.find(word), text.find(word) + len(word), *score)
                for kind, word, *score in self.known if word in text]  # fmt: skip


def test_what_it_finds_becomes_its_kind_after_the_patterns():
    words = Words(("PERSON", "Jane Roe"), ("ADDRESS", "13 Elm Street"), languages=["de"])
    text = "Jane Roe, 13 Elm Street, jane@example.com"
    assert redact(text, Redaction(analyzer=words)) == Redacted(
        "[person], [address], [email]", ("address", "email", "person")
    )
    assert words.asked == [("Jane Roe, 13 Elm Street, [email]", "de")]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([("PERSON", "Jane Roe"), ("PERSON", "Jane")], "to [person] at Acme"),
        ([("PERSON", "to Jane"), ("LOCATION", "Jane Roe at")], "[person] Acme"),
        ([("PERSON", "Jane Roe", 0.3)], "to Jane Roe at Acme"),
        ([("ORGANIZATION", "Acme"), ("DATE_TIME", "to"), ("URL", "at")], "to Jane Roe at Acme"),
        ([], "to Jane Roe at Acme"),
    ],
)
def test_stretches_that_overlap_are_one_and_guesses_and_firms_stay(known, expected):
    assert redact("to Jane Roe at Acme", Redaction(analyzer=Words(*known))).text == expected


def test_one_word_is_not_asked_about():
    words = Words(("PERSON", "Jane"))
    assert redact("Jane", Redaction(analyzer=words)).text == "Jane"
    assert words.asked == []


def test_names_are_not_asked_about_and_everything_else_is():
    words = Words(("PERSON", "Jane Roe"))
    attributes = {
        "gen_ai.agent.name": "Desk of Jane Roe",
        "tachograph.checkpoint.reason": "said by Jane Roe",
        "tachograph.content.input": '[{"role": "user", "content": "I am Jane Roe"}]',
        "app.note": "Jane Roe was here",
    }
    assert outgoing_attributes(attributes, capture="redacted", redaction=Redaction(analyzer=words)) == {
        "gen_ai.agent.name": "Desk of Jane Roe",
        "tachograph.checkpoint.reason": "said by [person]",
        "tachograph.content.input": '[{"role": "user", "content": "I am [person]"}]',
        "app.note": "[person] was here",
    }


def test_what_it_fails_on_is_withheld():
    class Failing:
        def analyze(self, text, language):
            raise RuntimeError(text)

    before = guard.failures.total()
    assert redact("Jane Roe was here", Redaction(analyzer=Failing())).text == "[withheld: 17 characters]"
    assert guard.failures.total() == before + 1
    guard.forget_causes()


@pytest.mark.parametrize(
    ("capture", "environ", "level"),
    [
        (None, {}, "off"),
        (None, {"TACHOGRAPH_CAPTURE": "Redacted"}, "redacted"),
        (None, {"TACHOGRAPH_CAPTURE": " "}, "off"),
        ("full", {"TACHOGRAPH_CAPTURE": "off"}, "full"),
        ("off", {"TACHOGRAPH_CAPTURE": "full"}, "off"),
    ],
)
def test_the_argument_wins_over_the_environment(capture, environ, level):
    assert read(capture=capture, environ=environ).capture == level


@pytest.mark.parametrize(
    ("capture", "environ", "sentence"),
    [
        (None, {"TACHOGRAPH_CAPTURE": "on"}, "TACHOGRAPH_CAPTURE is 'on'; content can be off, redacted or full."),
        ("all", {}, "capture is 'all'; content can be off, redacted or full."),
        (None, {"TACHOGRAPH_PRESIDIO": "maybe"}, "TACHOGRAPH_PRESIDIO is 'maybe'; it can be on or off."),
    ],
)
def test_a_level_that_is_none_is_refused(capture, environ, sentence):
    with pytest.raises(UsageError, match=sentence):
        read(capture=capture, environ=environ)


def test_what_presidio_lacks_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(analyzers, "entry_points", lambda **_: ())
    with pytest.raises(UsageError, match="no model of spaCy is installed, and tachograph downloads none"):
        read(environ={"TACHOGRAPH_PRESIDIO": "on"})
    monkeypatch.setattr(analyzers, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="Presidio is not installed: pip install presidio-analyzer"):
        read(environ={"TACHOGRAPH_PRESIDIO": "on"})
    assert read(environ={}).analyzer is None


# A model that is installed as a package, as spaCy's own are; nothing may be asked of the network.
INSTALLED = """
import importlib.metadata, socket, sys
from tachograph.privacy import analyzer
from tachograph.config import read
from tachograph.privacy.redaction import Redaction, redact

def refuse(*_, **__):
    raise AssertionError("the network is asked")

socket.socket.connect = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
found = read(environ={"TACHOGRAPH_PRESIDIO": "on"}).analyzer
assert "spacy" not in sys.modules, "it is made when it is needed"
print(redact("no account for Jane Roe, mail jane@example.com", Redaction(analyzer=found)).text)
"""


@pytest.mark.slow
def test_an_installed_model_is_taken_and_nothing_downloaded(tmp_path):
    package, facts = tmp_path / "en_tiny", tmp_path / "en_tiny-1.0.dist-info"
    for folder in (package, facts):
        folder.mkdir()
    made = (
        "import spacy\n"
        "nlp = spacy.blank('en')\n"
        "nlp.add_pipe('entity_ruler').add_patterns([{'label': 'PERSON', 'pattern': 'Jane Roe'}])\n"
        f"nlp.to_disk({str(package / 'model')!r})"
    )
    subprocess.run([sys.executable, "-c", made], check=True, timeout=120)
    (package / "__init__.py").write_text(
        "from pathlib import Path\nimport spacy\n\n"
        "def load(**options):\n    return spacy.load(Path(__file__).parent / 'model', **options)\n",
        "utf-8",
    )
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: en-tiny\nVersion: 1.0\n", "utf-8")
    (facts / "entry_points.txt").write_text("[spacy_models]\nen_tiny = en_tiny\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "no account for [person], mail [email]\n", done.stderr


THEIRS = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import tachograph

class Analyzer:
    def analyze(self, text, language):
        raise AssertionError("on the agent's thread")

memory, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
analyzer = Analyzer() if sys.argv[1] == "analyzer" else None
report = tachograph.instrument(capture="redacted", analyzer=analyzer, metrics="none", service_name="desk")
with tachograph.llm_call("ask bob@example.com") as call:
    call.content(input="Jane Roe, bob@example.com")
(span,) = memory.get_finished_spans()
keys = ("gen_ai.request.model", "tachograph.content.input")
print(json.dumps([span.name, *map(span.attributes.get, keys), any("content: not" in note for note in report.notes)]))
tachograph.uninstrument()
"""


@pytest.mark.parametrize(
    ("analyzer", "seen"),
    [
        ("none", ["chat ask [email]", "ask [email]", '"Jane Roe, [email]"', False]),
        ("analyzer", ["chat ask [email]", "ask [email]", None, True]),
    ],
)
def test_a_provider_that_exports_by_itself_gets_no_content_that_the_analyzer_has_not_seen(analyzer, seen):
    command = [sys.executable, "-c", THEIRS, analyzer]
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout) == seen
