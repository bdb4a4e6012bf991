"""One step of a run from near: contract, approval, guardrails, what was said in it, and everything that it recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from tachograph.registry import load, names
from tachograph_analytics.app.findings import severity
from tachograph_analytics.app.tables import pairs, table
from tachograph_analytics.app.words import clock, duration, plain
from tachograph_analytics.runs.labels import title, took

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.detections import Finding
    from tachograph_analytics.runs.steps import Event, Step

# What of a tool call is its contract, in the order in which it is checked.
_CONTRACT: Mapping[str, str] = {
    names.TOOL_EFFECT: "Effect",
    names.TOOL_TIER: "Risk tier",
    names.TOOL_INPUT_RESULT: "Arguments",
    names.TOOL_AUTHZ: "Authorization",
    names.TOOL_IDEMPOTENCY_KEY_HASH: "Idempotency key (hash)",
    names.TOOL_IDEMPOTENCY_RESULT: "Idempotency",
    names.TOOL_ARGUMENTS_HASH: "Arguments (hash)",
    names.TOOL_ATTEMPT: "Attempt",
    names.TOOL_OUTPUT_RESULT: "Result",
    names.TOOL_OUTCOME: "Outcome",
}
_MUST_SAY = (names.TOOL_AUTHZ, names.TOOL_INPUT_RESULT, names.TOOL_OUTPUT_RESULT, names.TOOL_IDEMPOTENCY_KEY_HASH)
_HIDDEN = frozenset({*load().common, names.SPAN_KIND, names.LOG_RECORD_UID})


def draw_step(
    step: Step,
    path: Sequence[Step],
    happened: Sequence[Event],
    found: Sequence[Finding],
    problems: Mapping[str, Sequence[str]],
) -> None:
    """The step in full; `path` and `happened` are all steps and events of its run."""
    with st.container(border=True):
        st.subheader(plain(title(step)), anchor="step")
        st.caption(plain(f"{took(step)} · began {clock(step.ts)} UTC, {duration(step.start_ms)} into the run"))
        for one in found:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                severity(one.severity)
                st.markdown(f"{plain(one.summary)} `{one.rule}`", width="stretch")
        for sentence in problems.get(step.span_id, ()):
            if sentence not in {one.summary for one in found}:
                st.markdown(f"▲ {plain(sentence)}")
        if step.kind == "tool":
            left, right = st.columns(2)
            with left:
                _contract(step)
            with right:
                _guards(step, path)
        inside = [event for event in happened if event.span_id == step.span_id]
        if inside:
            st.markdown("**Events in it**")
            draw_events(inside, {})
        _everything(step)


def _contract(step: Step) -> None:
    st.markdown("**Contract**")
    facts = {
        label: _value(step.attributes.get(name, "not recorded"))
        for name, label in _CONTRACT.items()
        if name in step.attributes or name in _MUST_SAY
    }
    pairs("Part", facts)


def _guards(step: Step, path: Sequence[Step]) -> None:
    """The approvals and checkpoints of the same call."""
    call = step.attributes.get(names.GEN_AI_TOOL_CALL_ID)
    about = [one for one in path if call is not None and one.attributes.get(names.GEN_AI_TOOL_CALL_ID) == call]
    for kind in ("approval", "checkpoint"):
        of_kind = [one for one in about if one.kind == kind]
        st.markdown(f"**{kind.capitalize()}**" + ("" if of_kind else ": none recorded for this call"))
        for one in of_kind:
            st.markdown(f"- {plain(_about_guard(one))}")


def _about_guard(step: Step) -> str:
    a = step.attributes
    if step.kind == "checkpoint":
        where = f"{a.get(names.CHECKPOINT_STAGE)}, by {a.get(names.CHECKPOINT_ENFORCEMENT)}"
        rule = f", rule {a[names.CHECKPOINT_RULE]}" if names.CHECKPOINT_RULE in a else ""
        return f"{a.get(names.CHECKPOINT_NAME)} ({where}): {a.get(names.CHECKPOINT_DECISION)}{rule}"
    people: list[str] = a.get(names.APPROVAL_APPROVERS, [])
    wait = a.get(names.APPROVAL_WAIT)
    return "; ".join(
        [
            f"{a.get(names.APPROVAL_STATUS)} ({a.get(names.APPROVAL_MODE)}) by {', '.join(people) or 'nobody'}",
            f"{'with' if a.get(names.APPROVAL_DIFF_PRESENTED) else 'without'} seeing what would change",
            f"arguments {a.get(names.TOOL_ARGUMENTS_HASH, 'not recorded')}",
            *([f"waited {duration(wait * 1000)}"] if wait is not None else []),
        ]
    )


def _everything(step: Step) -> None:
    own = {name: _value(value) for name, value in step.attributes.items() if name not in _HIDDEN}
    with st.expander(f"All it recorded ({len(own) + len(step.others)})", icon=":material/list:"):
        pairs("Attribute", {**own, **step.others, "span id": step.span_id})


def draw_events(happened: Sequence[Event], steps: Mapping[str, str]) -> None:
    """Events in order of time, with the step that each belongs to where `steps` names it."""
    if not happened:
        st.caption("No events were recorded.")
        return
    table(
        {
            "Time": [clock(event.ts) for event in happened],
            "Event": [event.name for event in happened],
            **({"Step": [steps.get(event.span_id or "", "none") for event in happened]} if steps else {}),
            "What": [_facts(event) for event in happened],
        }
    )


def _facts(event: Event) -> str:
    return ", ".join(
        f"{name.removeprefix(load().prefix)}={_value(value)}"
        for name, value in event.attributes.items()
        if name not in _HIDDEN
    )


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
