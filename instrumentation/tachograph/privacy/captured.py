"""What was said: messages, arguments and results as JSON on our own spans, where capture is on.

While it is off nothing is looked at. Otherwise values are read without running the host's code, within a budget, and
redacted before an attribute exists; `full` leaves them as they are.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from tachograph.privacy.redaction import CUT, redact_value
from tachograph.registry import names as n
from tachograph.telemetry import recorder as recorders
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from inspect import BoundArguments

CHARACTERS: Final = 12_000  # of one input or output
MOST: Final = 16_384  # of its JSON, as much as leaves as one text
VALUES: Final = 2_000  # looked at: what is left of a larger value says so
DEPTH: Final = 16  # levels; also ends cycles

_HUGE: Final = 1 << 1024  # Python writes a number of some thousand digits no more, and takes its time before that
_TEXTS: tuple[type[Any], ...] = (str, bytes, bytearray)
_BARE: Final = frozenset({type(None), bool, int})
_DICT: Any = dict  # its own items(), not an override of the host's
_LISTS: tuple[type[Any], ...] = (list, tuple, set, frozenset)


def capture(attributes: dict[str, object], *, input: object = None, output: object = None) -> None:
    """Puts input and output among the attributes of a step; None is nothing said. Looks at nothing while it is off."""
    recorder = recorders.active()
    if recorder is not None and recorder.capture != "off":
        _say(attributes, input, output, raw=recorder.capture == "full")


@guarded("instrument", None)
def _say(attributes: dict[str, object], input: object, output: object, *, raw: bool) -> None:
    for name, value in ((n.CONTENT_INPUT, input), (n.CONTENT_OUTPUT, output)):
        if value is not None:
            attributes[name] = rendered(value, raw=raw)
            attributes[n.CONTENT_STATE] = "raw" if raw else "redacted"


def given(arguments: BoundArguments) -> dict[str, Any]:
    """The arguments of a call by name, without the object it was called on."""
    return {name: value for name, value in arguments.arguments.items() if name not in {"self", "cls"}}


def rendered(value: object, *, raw: bool = False) -> str:
    """A value as JSON of bounded size, redacted unless `raw`: objects as their fields, else as their type."""
    plain = _Walk().plain(value, DEPTH)
    text = json.dumps(plain if raw else redact_value(plain), ensure_ascii=False)
    # what has to be escaped makes it longer: then it is what it begins with, as one string
    return text if len(text) <= MOST else json.dumps(text[: MOST // 3] + CUT, ensure_ascii=False)


@dataclass(slots=True)
class _Walk:
    """One way through a value: what is left of its budget."""

    characters: int = CHARACTERS
    values: int = VALUES

    def plain(self, value: Any, depth: int) -> Any:
        """The value in dicts, lists, strings and numbers; cut where the budget ends."""
        kind = cast("type[Any]", type(value))
        self.values -= 1
        if issubclass(kind, Enum):
            return self.plain(value._value_, depth - 1)
        if kind in _BARE:
            self.characters -= int.bit_length(value or 0) // 3 + 4
            return value if abs(value or 0) < _HUGE else f"<{kind.__qualname__}>"
        if issubclass(kind, _TEXTS):
            return self._text(value)
        if issubclass(kind, float):
            self.characters -= 20
            return value if math.isfinite(value) else float.__repr__(value)
        return CUT if depth <= 0 or self._spent() else self._parts(value, kind, depth)

    def _parts(self, value: Any, kind: type[Any], depth: int) -> Any:
        base = next((base for base in _LISTS if issubclass(kind, base)), None)
        if base is not None:
            return self._list(tuple(islice(base.__iter__(value), self.values + 1)), depth)
        found = _fields(value, kind)
        return f"<{kind.__qualname__}>" if found is None else self._dict(found, depth)

    def _text(self, value: Any) -> str:
        if issubclass(type(value), str):
            text, cut = str.__getitem__(value, slice(self.characters)), str.__len__(value) > self.characters
        else:
            text, cut = bytes(value[: self.characters]).decode("utf-8", "replace"), len(value) > self.characters
        self.characters = max(0, self.characters - len(text) - 2)
        return text + CUT if cut else text

    def _list(self, items: tuple[Any, ...], depth: int) -> list[Any]:
        kept: list[Any] = []
        for item in items:
            if self._spent():
                return [*kept, CUT]
            kept.append(self.plain(item, depth - 1))
        return kept

    def _dict(self, fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in fields.items():
            if self._spent():
                return {**kept, CUT: CUT}
            name = key if isinstance(key, str) else str(self.plain(key, 0))
            kept[self._text(name)] = self.plain(item, depth - 1)
        return kept

    def _spent(self) -> bool:
        return self.values <= 0 or self.characters <= 0


def _fields(value: Any, kind: type[Any]) -> Mapping[Any, Any] | None:
    """A dict's entries or an object's stored fields, without asking the host's methods; None where there are none."""
    if issubclass(kind, dict):
        return dict(islice(_DICT.items(value), VALUES))
    if issubclass(kind, type):
        return None  # what a class holds is code
    try:
        return dict(islice(_DICT.items(object.__getattribute__(value, "__dict__")), VALUES))
    except AttributeError:
        pass
    if dataclasses.is_dataclass(kind):
        return {field.name: object.__getattribute__(value, field.name) for field in dataclasses.fields(kind)}
    return None
