"""What no pattern finds, names and postal addresses: found by an analyzer of the user's, such as Presidio's.

Nothing is downloaded: Presidio's own default would fetch a language model, and a list of domains for its recognizer of
e-mail addresses. Here the model must be installed, and only what the model names is looked for.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from tachograph.errors import UsageError
from tachograph.privacy.withholding import withheld
from tachograph.telemetry.guard import failed

if TYPE_CHECKING:
    from collections.abc import Iterable

SURE: Final = 0.5  # scores below are guesses of single patterns without context, in Presidio's own scale from 0 to 1

# Times, firms and addresses of the web are what telemetry is about, and no secret of a person.
_LEFT_IN: Final = frozenset({"DATE_TIME", "ORGANIZATION", "NRP", "URL", "UUID"})

_LACKS_PRESIDIO: Final = (
    "TACHOGRAPH_PRESIDIO is on and Presidio is not installed: pip install presidio-analyzer, and a model of spaCy."
)
_LACKS_MODEL: Final = (
    "TACHOGRAPH_PRESIDIO is on and no model of spaCy is installed, and tachograph downloads none:"
    " python -m spacy download en_core_web_sm does, or give instrument(analyzer=…) an analyzer of your own."
)


class Finding(Protocol):
    """A stretch of a text, what it is, and how sure that is, from 0 to 1."""

    @property
    def entity_type(self) -> str:
        """What was found: PERSON, LOCATION."""
        ...

    @property
    def start(self) -> int:
        """Where it begins."""
        ...

    @property
    def end(self) -> int:
        """Where it has ended."""
        ...

    @property
    def score(self) -> float:
        """How sure that is."""
        ...


class Analyzer(Protocol):
    """Finds personal data in a text, as `presidio_analyzer.AnalyzerEngine` does; called in export threads."""

    def analyze(self, text: str, language: str) -> Iterable[Finding]:
        """What was found in `text`, in any order; stretches may overlap."""
        ...


def findings(analyzer: Analyzer, text: str) -> list[tuple[str, tuple[int, int]]]:
    """Kinds and stretches in order, without overlaps; the whole text where the analyzer fails."""
    if len(text.split(None, 1)) < 2:  # noqa: PLR2004 - one word is a name of things: nearly all texts, so not looked at
        return []
    try:
        found = list(analyzer.analyze(text=text, language=_language(analyzer)))
    except Exception as error:  # noqa: BLE001 - the analyzer is not ours; what it could not look at does not leave
        failed("export", error)
        return [(withheld(text).strip("[]"), (0, len(text)))]
    sure = [one for one in found if one.score >= SURE and one.entity_type not in _LEFT_IN]
    kept: list[tuple[str, tuple[int, int]]] = []
    for one in sorted(sure, key=lambda one: (one.start, -one.end)):
        if kept and one.start < kept[-1][1][1]:
            category, (start, end) = kept[-1]
            kept[-1] = (category, (start, max(end, one.end)))
        else:
            kept.append((one.entity_type.lower(), (one.start, one.end)))
    return kept


def _language(analyzer: Analyzer) -> str:
    languages = getattr(analyzer, "supported_languages", None)
    return str(languages[0]) if languages else "en"


class Presidio:
    """Presidio with an installed model of spaCy, made in the export thread when the first text comes: it takes seconds.

    Raises UsageError where Presidio or a model is not installed.
    """

    def __init__(self) -> None:
        if find_spec("presidio_analyzer") is None:
            raise UsageError(_LACKS_PRESIDIO)
        models = sorted(entry.name for entry in entry_points(group="spacy_models"))
        if not models:
            raise UsageError(_LACKS_MODEL)
        self._model = next((model for model in models if model.startswith("en")), models[0])
        self.supported_languages = [self._model.partition("_")[0]]

    def analyze(self, text: str, language: str) -> Iterable[Finding]:
        """Names, places and whatever else the model knows."""
        return self._engine.analyze(text=text, language=language)

    @cached_property
    def _engine(self) -> Any:
        presidio: Any = import_module("presidio_analyzer")
        engines: Any = import_module("presidio_analyzer.nlp_engine")
        recognizers: Any = import_module("presidio_analyzer.predefined_recognizers")
        (language,) = self.supported_languages
        engine = engines.SpacyNlpEngine(models=[{"lang_code": language, "model_name": self._model}])
        recognizer = recognizers.SpacyRecognizer(supported_language=language)
        registry = presidio.RecognizerRegistry([recognizer], supported_languages=[language])
        return presidio.AnalyzerEngine(registry, engine, supported_languages=[language])
