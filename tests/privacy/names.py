"""A tiny language model for Presidio, trained here in seconds on sentences made up here: persons and postal addresses.

None of the names and streets that the tests plant is among them: the model has to go by how such words look and where
they stand. Run as a process to train: spaCy stays out of the tests' own.
"""

from __future__ import annotations

import random
import sys
import warnings
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_FIRST: Final = (
    "Anna", "Boris", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Karla", "Leon",
    "Marta", "Nils", "Olga", "Paul", "Rosa", "Stefan", "Tilda", "Ulrich", "Vera", "Walter", "Xenia", "Yusuf",
    "Zora", "Quentin", "Theodora", "Bartholomew", "Jo", "Mae",
)  # fmt: skip
_LAST: Final = (
    "Abernathy", "Brandt", "Castellano", "Drummond", "Eriksen", "Fairweather", "Goldmann", "Hathaway", "Ingersoll",
    "Jankowski", "Kowalczyk", "Lindqvist", "Montgomery", "Nakamura", "Oppenheimer", "Petrosyan", "Quennell",
    "Rutherford", "Silverstein", "Thornton", "Underhill", "Vandenberg", "Whitcombe", "Yarborough", "Zimmermann",
    "Poe", "Li",
)  # fmt: skip
_STREET: Final = (
    "Alder", "Birch", "Cedar", "Dogwood", "Elmhurst", "Foxglove", "Gladstone", "Hawthorn", "Ivywood", "Juniper",
    "Kingsley", "Larkspur", "Maplewood", "Northgate", "Oakridge", "Primrose", "Quarry", "Rosewood", "Stonebridge",
    "Thistle", "Underwood", "Vineyard", "Willowby",
)  # fmt: skip
_KIND: Final = ("Street", "Road", "Lane", "Avenue", "Drive", "Way", "Court")
_TOWN: Final = (
    "Ashford", "Barlow", "Cranbury", "Dunmore", "Eastwick", "Fernley", "Glenrock", "Hartfield", "Islington",
    "Kenbury", "Langley", "Marlow", "Newbury", "Oakham", "Penbury", "Ridgeley", "Selbury", "Tenbury", "Wexham",
)  # fmt: skip
_SENTENCES: Final = (
    "{P}", "{A}", "{A}; {P}", "{N}; {A}; {P}", "{P}; {A}", "no account for {P}", "{P} lives at {A}", "send it to {A}",
    "{W}; {A}; {P}; {W}", "who = '{P}'", "name = '{N}; {A}; {P}'", "said {P} : {W}", "ValueError: {N}; {A}; {P}",
    "the order of {P} goes to {A} today", "{N} {W} {N}", "{W} {W}", "chat gpt-4o", "SELECT * FROM people WHERE {W}",
    "[card]; [email]; [phone]; [token]; {A}; {P}", "[ssn]; [card]; [email]; [phone]; [token]; [token]; {A}; {P}",
    'raise ValueError("{N}; {A}; {P}")', "[ssn]; [token]; [token]; {A}; {P}", "Traceback (most recent call last): {W}",
)  # fmt: skip
_WORDS: Final = (
    "refund", "booking", "Booking", "flight", "Traceback", "File", "line", "raise", "LookupError", "ValueError",
    "SELECT", "FROM", "people", "customer", "Order", "The",
)  # fmt: skip


def sentence(chance: random.Random) -> tuple[str, list[tuple[int, int, str]]]:
    """A made-up sentence, and where which entity stands in it."""
    text, entities = "", list[tuple[int, int, str]]()
    rest = chance.choice(_SENTENCES)
    while "{" in rest:
        before, _, rest = rest.partition("{")
        kind, rest = rest[0], rest[2:]
        value = _value(kind, chance)
        text += before
        if kind in "PA":
            entities.append((len(text), len(text) + len(value), "PERSON" if kind == "P" else "ADDRESS"))
        text += value
    return text + rest, entities


def _value(kind: str, chance: random.Random) -> str:
    match kind:
        case "P":
            return f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
        case "A":
            town = f", {chance.choice(_TOWN)}" if chance.random() < 0.8 else ""
            return f"{chance.randint(1, 9999)} {chance.choice(_STREET)} {chance.choice(_KIND)}{town}"
        case "N":
            return str(chance.randint(1, 10**9))
        case _:
            return chance.choice(_WORDS)


def train(folder: Path) -> None:
    """Writes a model of spaCy to the folder."""
    import spacy
    from spacy.training import Example
    from spacy.util import fix_random_seed, minibatch

    fix_random_seed(13)
    chance = random.Random(13)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    examples = [
        Example.from_dict(nlp.make_doc(text), {"entities": entities})
        for text, entities in (sentence(chance) for _ in range(400))
    ]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(5):
        chance.shuffle(examples)
        for batch in minibatch(examples, 32):
            nlp.update(batch, sgd=optimizer, drop=0.3)
    nlp.to_disk(folder)


def engine(model: str) -> Any:
    """Presidio's own engine with the trained model, and only what the model knows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that are not ours
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer

        entities = ["PERSON", "ADDRESS"]
        configuration = NerModelConfiguration(model_to_presidio_entity_mapping={kind: kind for kind in entities})
        nlp = SpacyNlpEngine([{"lang_code": "en", "model_name": model}], configuration)
        return AnalyzerEngine(RecognizerRegistry([SpacyRecognizer(supported_entities=entities)]), nlp)


if __name__ == "__main__":
    from pathlib import Path

    train(Path(sys.argv[1]))
