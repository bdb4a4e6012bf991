"""What a failed assertion says: what was looked for, what was seen instead, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tachograph.plain.convention import NAMES
from tachograph.registry import load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph.testing.facts import Fact, Subject, Wanted
    from tachograph.testing.reading import Reading

SHOWN = 3  # candidates in one message: the nearest say what went wrong, the tenth does not

ELSEWHERE: Final = (
    "instrument() was called inside of the recording, so the hooks write to its pipeline since then. Call it before "
    "the recording begins, or hook the agent with recorded.instrument(agent)."
)

MEND: Final = "If the agent did right, mend the words of the assertion."


def missing(call: str, wanted: Wanted, times: int | None, facts: list[Fact], reading: Reading) -> str:
    """For fewer facts than were asked for: the nearest others, or why there are none."""
    matched = [fact for fact in facts if not wanted.misses(fact)]
    how_many = (
        f"no such {wanted.subject.noun} was recorded" if times is None else f"{len(matched)} recorded, not {times}"
    )
    head = f"{call}({wanted}): {how_many}."
    others = [fact for fact in facts if wanted.misses(fact)]
    if not facts:
        return "\n".join([head, *_nothing(wanted, reading)])
    lines = [head, *_listed("Recorded:", matched, wanted)]
    nearest = sorted(others, key=lambda fact: len(wanted.misses(fact)))
    lines += _listed("Recorded instead, the nearest first:", nearest, wanted)
    return "\n".join([*lines, *_unseen(wanted, reading), *_ours(reading), MEND])


def surplus(call: str, wanted: Wanted, times: int, matched: list[Fact]) -> str:
    """For more facts than were asked for: they themselves."""
    head = f"{call}({wanted}): {len(matched)} recorded, not {times}."
    return "\n".join([head, *_listed("Recorded:", matched, wanted), MEND])


def blind(call: str, wanted: Wanted, reading: Reading) -> str | None:
    """Why nobody could have seen such a fact, where that is so: then its absence says nothing."""
    subject = wanted.subject
    if reading.facts(subject.source) or instrumented(_hook(wanted), reading):
        return None
    seen_something = bool(reading.sdk_spans() or reading.log_exporter.get_finished_logs())
    if seen_something and not reading.installations:
        return None  # hand-written hooks are known from their first use on
    head = f"{call}({wanted}): whether there was such a {subject.noun} cannot be told."
    return "\n".join([head, *_nothing(wanted, reading)])


def instrumented(hook: str, reading: Reading) -> bool:
    """Whether the hook, or one of its kinds, is known to be installed."""
    return any(shown == hook or shown.startswith(f"{hook}.") for shown in reading.hooks())


def _hook(wanted: Wanted) -> str:
    stage = wanted.asked.get("stage") if wanted.subject.hook == "checkpoint" else None
    return wanted.subject.hook if stage is None else f"checkpoint.{stage}"


def _nothing(wanted: Wanted, reading: Reading) -> list[str]:
    """Why there is no fact of this kind at all."""
    subject, hook = wanted.subject, _hook(wanted)
    if reading.replaced:
        return [ELSEWHERE]
    lines = [f"Recorded instead: {reading.overview() or 'nothing at all'}.", *_ours(reading)]
    if instrumented(hook, reading):
        installed = f"The hook {hook!r} is installed and was not reached"
        return [*lines, f"{installed}: the agent took a way without it, or has not left it yet."]
    lines.append(f"Not instrumented: the hook {hook!r} is not installed and never ran. That is no 'did not happen'.")
    return [*lines, *(_of_installations(subject, hook, reading) or [_to_do(subject, hook)])]


def _unseen(wanted: Wanted, reading: Reading) -> list[str]:
    """That the place which is asked for has no hook, where others of its kind have."""
    hook = _hook(wanted)
    if hook == wanted.subject.hook or instrumented(hook, reading):
        return []
    return [f"Not instrumented: the hook {hook!r} is not installed and never ran."]


def _ours(reading: Reading) -> list[str]:
    """That hooks failed, where they did: what they saw is not recorded then."""
    failed = ", ".join(f"{hook} ({count})" for hook, count in reading.failures().items())
    return [f"tachograph itself failed in {failed}; the log says where."] if failed else []


def _to_do(subject: Subject, hook: str) -> str:
    names = _conventional(hook)
    named = f"\nOr hook a plain agent with recorded.instrument(agent), by one of the names {names}." if names else ""
    return f"Say it by hand: {subject.by_hand}.{named}"


def _of_installations(subject: Subject, hook: str, reading: Reading) -> list[str]:
    if not reading.installations:
        return []
    hooked = ", ".join(f"{one.name} as {one.hook}" for done in reading.installations for one in done.hooked)
    left = [name for done in reading.installations for name in done.unrecognised]
    skipped = [f"{one.name} ({one.reason})" for done in reading.installations for one in done.skipped]
    lines = [f"Hooked: {hooked or 'nothing'}."]
    if skipped:
        lines.append(f"Skipped: {', '.join(skipped)}.")
    names = _conventional(hook)
    if left and names:
        example = f"mapping={{{left[0]!r}: {names.split(', ')[0]!r}}}"
        lines.append(f"Not recognised: {', '.join(left)}. If one of them does it: instrument(agent, {example}).")
    return [*lines, *([] if left and names else [_to_do(subject, hook)])]


def _conventional(hook: str) -> str:
    """The names under which the convention finds such a function."""
    kinds = "checkpoint." if hook == "checkpoint" else hook
    return ", ".join(
        name for name, one in NAMES.items() if one.hook == hook or (kinds != hook and one.hook.startswith(kinds))
    )


def _listed(head: str, facts: list[Fact], wanted: Wanted) -> list[str]:
    if not facts:
        return []
    lines = [head, *(f"  {_told(fact, wanted)}" for fact in facts[:SHOWN])]
    return lines if len(facts) <= SHOWN else [*lines, f"  … and {len(facts) - SHOWN} more"]


def _told(fact: Fact, wanted: Wanted) -> str:
    """One fact in a line: what is wrong with it first, then what else it says."""
    misses = wanted.misses(fact)
    wrong = [f"{word} is {_shown(word, said, wanted)}, not {value!r}" for word, (said, value) in misses.items()]
    rest = {word: known.of(fact) for word, known in wanted.subject.words.items() if word not in misses}
    said = [f"{word}={value!r}" for word, value in rest.items() if value is not None]
    return "\n    ".join(
        [f"{fact.name}: {'; '.join(wrong)}" if wrong else fact.name, *([", ".join(said)] if said else [])]
    )


def _shown(word: str, said: object, wanted: Wanted) -> str:
    if said is None:
        return "not said"
    allowed = wanted.subject.words[word].allowed
    return f"{said!r} (no value of the registry)" if allowed and str(said) not in allowed else repr(said)


def detections(call: str, counted: dict[str, float], asked: dict[str, int], reading: Reading) -> str:
    """For other detections than those that were asked for: each that differs, and why nobody could count it."""
    differing = sorted(rule for rule in {*counted, *asked} if counted.get(rule, 0) != asked.get(rule, 0))
    words = ", ".join(f"{rule}={times}" for rule, times in asked.items())
    lines = [f"{call}({words}): other detections were counted."]
    for rule in differing:
        lines.append(f"  {rule}: {counted.get(rule, 0):g}, not {asked.get(rule, 0)}. {load().detections[rule].brief}")
        lines += unjudged([rule], reading) if not counted.get(rule) else []
    return "\n".join(lines)


def unjudged(rules: Iterable[str], reading: Reading) -> list[str]:
    """A line for each rule that needs a hook which is not there: it is neither violated nor clean."""
    lines: list[str] = []
    for rule in rules:
        needs = [hook for hook in load().detections[rule].needs if not instrumented(hook, reading)]
        if needs:
            lines.append(f"  {rule} is not instrumented, without: {', '.join(needs)}.")
    return lines
