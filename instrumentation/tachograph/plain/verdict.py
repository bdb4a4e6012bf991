"""What a check decided, as far as its returned value says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from tachograph.plain.reading import flag, is_a, is_data, items, label, name, number, one_of, parts, read, text
from tachograph.telemetry.fingerprint import fingerprint

if TYPE_CHECKING:
    from tachograph.plain.call import Call

Decision = Literal["allow", "deny", "modify", "redact", "warn", "escalate", "error"]

_DECISIONS = get_args(Decision)
_COMPARED = (str, bytes, int, float, dict, list, tuple, set, frozenset)
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision; its rule, that rule's policy, the score that it was made on and the reason where they are said."""

    decision: Decision
    rule: str | None = None
    reason: str | None = None
    score: float | None = None
    policy: str | None = None
    policy_version: str | None = None


def verdict(call: Call, value: object) -> Verdict:
    """What a check that returned `value` decided; whatever says nothing else allows."""
    said = flag(value)
    if said is None and value is None and call.place.bool_result:
        said = False
    if said is not None:
        return Verdict(_allowed(said))
    pair = parts(value)
    if len(pair) == _PAIR and flag(pair[0]) is not None:
        return _said(_allowed(pair[0]), pair[1], reason=pair[1], score=pair[1])
    word = one_of(read(value, "decision", "verdict", "action"), _DECISIONS)
    said = flag(read(value, "ok", "allowed", "valid", "passed", "approved"))
    if word is not None or said is not None:
        return _said(
            word or _allowed(said is True),
            value,
            reason=read(value, "reason", "reasons", "errors"),
            score=read(value, "score"),
        )
    return Verdict("modify" if _changed(call, value) else "allow")


def _said(decision: Decision, about: object, *, reason: object, score: object) -> Verdict:
    """The decision with what `about` says of it; a policy is a name, or an object with one."""
    policy = read(about, "policy", "policy_id")
    version = read(about, "policy_version")
    return Verdict(
        decision,
        rule=text(read(about, "rule", "rule_id")),
        reason=_reason(reason),
        score=number(score),
        policy=label(name(policy, "name", "id")),
        policy_version=text(version if version is not None else read(policy, "version")),
    )


def _allowed(said: bool) -> Decision:
    return "allow" if said else "deny"


def _reason(value: object) -> str | None:
    several = items(value)
    first = next(iter(several), None) if several is not None else value
    return str.__str__(first) if is_a(first, str) else None


def _changed(call: Call, value: object) -> bool:
    alike = [argument for argument in call.arguments.values() if type(argument) is type(value)]
    comparable = issubclass(type(value), _COMPARED) or is_data(value)
    if not comparable or not alike or any(argument is value for argument in alike):
        return False
    # by hashes: the values' own comparison may be the host's code; what has no hash is not judged
    now, given = fingerprint(value), [fingerprint(argument) for argument in alike]
    return now is not None and None not in given and now not in given
