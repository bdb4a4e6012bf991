"""Run: what happened in this one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tachograph_analytics.app import figures, frame, links, state
from tachograph_analytics.app.charts.waterfall import MOST_ROWS, SELECTION, description, waterfall
from tachograph_analytics.app.details import draw_events, draw_step
from tachograph_analytics.app.findings import severity
from tachograph_analytics.app.snapshot import Snapshot, add_to_incident, carried
from tachograph_analytics.app.tables import table
from tachograph_analytics.app.words import clock, duration, many, plain, when
from tachograph_analytics.runs.extent import Extent, newest
from tachograph_analytics.runs.labels import title, took
from tachograph_analytics.runs.run import Run, find
from tachograph_analytics.runs.scope import Scope, text
from tachograph_analytics.runs.steps import Event, Step, events, steps
from tachograph_analytics.runs.steps import problems as problems_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tachograph_analytics.detections import Finding

_NEWEST = 13
_DEEPEST = 8  # levels that the table indents
# What an incident keeps of a run: whose it was, how it ended, and the figures of the page.
_KEPT = (
    *("run_id", "agent", "workflow", "tenant", "release", "track", "outcome", "stop_reason"),
    *("cost", "duration_ms", "turns", "llm_calls", "tool_calls", "input_tokens", "output_tokens", "cached_tokens"),
)


def page() -> None:
    """Draws the page."""
    found = frame.opened("What happened in this run?")
    if found is None:
        return
    store, extent = found
    # The URL decides, before any widget does: a bound widget would drop an id that it does not know without a word.
    run_id = st.query_params.get("run", "").strip()
    st.session_state["run"] = run_id
    st.text_input("Run id", key="run", placeholder="run_…", on_change=_run_changed)
    run = find(store.connection, run_id) if run_id else None
    if run is None:
        _elsewhere(store, extent, run_id)
    else:
        _run(store, run)
    frame.foot(extent, run.price_dates if run is not None else (), store.home)


def _run_changed() -> None:
    _open(st.session_state["run"].strip())


def _open(run_id: str) -> None:
    st.query_params.from_dict((links.run(run_id) if run_id else {}) | carried(st.query_params))


def _elsewhere(store: state.Store, extent: Extent, run_id: str) -> None:
    """Says that there is no such run and offers those that there are."""
    if run_id:
        st.warning(
            plain(f"Run {run_id} is not in this data.")
            + plain(f" It holds {many(extent.runs, 'run')} from {when(extent.first)} to {when(extent.last)}."),
            icon=":material/search_off:",
        )
    else:
        st.markdown("Enter a run's id, from a log line, an alert or a trace, or take one of the newest runs.")
    st.header("Newest runs", anchor="newest")
    for one in newest(store.connection, _NEWEST):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            # A link to the page that is open would leave the address as it is.
            st.button(
                plain(one.run_id),
                key=f"open {one.run_id}",
                type="tertiary",
                icon=":material/account_tree:",
                on_click=_open,
                args=(one.run_id,),
            )
            st.caption(plain(f"{when(one.ts)} · {one.agent or 'unknown agent'} · {one.outcome or 'no outcome yet'}"))
    st.page_link(links.START_PAGE, label="Back to Start", icon=":material/home:")


def _run(store: state.Store, run: Run) -> None:
    found = [f for f in state.findings(store, Scope()) if f.run_id == run.run_id]
    path = steps(store.connection, run.run_id)
    problems = problems_of(path, found)
    st.markdown(_outcome(run))
    add_to_incident(_snapshot(store, run))
    for one in found:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            severity(one.severity)
            st.markdown(f"{plain(one.summary)} `{one.rule}`", width="stretch")
    if not found:
        st.caption("No detection found anything in this run.")
    happened = events(store.connection, run.run_id)
    _path(path, problems, happened, found)
    st.header("In figures", anchor="figures")
    _figures(run)
    st.header("Events", anchor="events")
    draw_events(happened, {step.span_id: title(step) for step in path})


def _snapshot(store: state.Store, run: Run) -> Snapshot:
    sql = f"SELECT {', '.join(_KEPT)}\nFROM runs WHERE run_id = {text(run.run_id)}"
    ended = f"ended as {run.outcome}" if run.outcome else "has not ended yet"
    f = {name: figures.shown(figure) for name, figure in run.figures.items()}
    money = "at no known price" if run.figures["cost"].value is None else f"for {f['cost']}{_priced(run)}"
    sentence = f"Run {run.run_id} of {run.agent or 'an unknown agent'} {ended} after {f['duration_ms']}, {money}"
    return Snapshot(sentence, sql, _KEPT, tuple(store.connection.execute(sql).fetchall()))


def _outcome(run: Run) -> str:
    """The run in a sentence."""
    f = {name: figures.shown(figure) for name, figure in run.figures.items()}
    ended = f"ended as **{plain(run.outcome)}**" if run.outcome else "has **not ended yet** in this data"
    reason = f" (stop reason: {plain(run.stop_reason)})" if run.stop_reason else ""
    error = f" with {plain(run.error_type)}" if run.error_type else ""
    cost = run.figures["cost"].value
    money = "at no known price" if cost is None else f"for {plain(f['cost'])}{plain(_priced(run))}"
    counted = (("turns", "turn"), ("llm_calls", "LLM call"), ("tool_calls", "tool call"))
    calls = ", ".join(f"{plain(f[name])} {noun}{'' if f[name] == '1' else 's'}" for name, noun in counted)
    tokens = f"{plain(f['input_tokens'])} input and {plain(f['output_tokens'])} output tokens"
    parts = [
        f"workflow {run.workflow}" if run.workflow else "",
        f"release {run.release}" + (f" ({run.track})" if run.track else "") if run.release else "",
        f"tenant {run.tenant}" if run.tenant else "",
        f"session {run.session}" if run.session else "",
        f"risk tier {run.tier}" if run.tier is not None else "",
        f"began {when(run.started)}",
    ]
    about = " · ".join(plain(part) for part in parts if part)
    return (
        f"This run of **{plain(run.agent or 'an unknown agent')}** {ended}{reason}{error} after "
        f"{plain(f['duration_ms'])}: {calls}, {tokens}, {money}.\n\n:gray[{about}]"
    )


def _priced(run: Run) -> str:
    if run.cost_source == "provider":
        return " as the provider says"
    dates = f", prices of {', '.join(run.price_dates)}" if run.price_dates else ""
    words = "partly estimated" if run.cost_source == "mixed" else "estimated"
    return f" ({words}{dates})" if run.cost_source else ""


def _figures(run: Run) -> None:
    unpriced = f"{many(run.unpriced_calls, 'LLM call')} without a price" if run.unpriced_calls else ""
    remarks = {
        "cost": "; ".join(filter(None, [_priced(run).strip(" ()"), unpriced])),
        "duration_ms": "without the time it waited",
    }
    drawn = list(run.figures.items())
    for four in (drawn[:4], drawn[4:]):
        for column, (name, figure) in zip(st.columns(4), four, strict=True):
            with column:
                figures.draw(figure, plain(remarks.get(name, "")))


def _path(
    path: Sequence[Step], problems: Mapping[str, Sequence[str]], happened: Sequence[Event], found: Sequence[Finding]
) -> None:
    st.header("Steps", anchor="steps")
    picked = _picked(path, problems)
    orphans = sum(step.orphan for step in path)
    if orphans:
        st.warning(
            f"{many(orphans, 'step')} of this run belong to a step that is not in the data: it is still running, was "
            "not sent, or was lost. They stand at the outermost level.",
            icon=":material/link_off:",
        )
    if len(path) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS} of {len(path)} steps are drawn; the table and the choice below have all.")
    st.altair_chart(
        waterfall(path, problems, picked.span_id if picked else None, dark=st.context.theme.type == "dark"),
        width="stretch",
        key="waterfall",
        on_select=_clicked,
        selection_mode=SELECTION,
        alt=description(path, problems, max((s.start_ms + (s.duration_ms or 0.0) for s in path), default=None)),
    )
    with st.expander("The same as a table", icon=":material/table:"):
        _table(path, problems)
    if picked is not None:
        draw_step(picked, path, happened, [f for f in found if f.span_id == picked.span_id], problems)


def _picked(path: Sequence[Step], problems: Mapping[str, Sequence[str]]) -> Step | None:
    """The step of the details: the URL's, else the first with a problem, else the first. Draws the choice itself."""
    by_id = {step.span_id: step for step in path}
    wrong = [step for step in path if step.span_id in problems]
    if not path:
        return None
    asked = st.query_params.get("step", "")
    picked = by_id.get(asked) or (wrong[0] if wrong else path[0])
    st.session_state["step"] = picked.span_id
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.selectbox(
        "Step to look into (or click a bar)",
        list(by_id),
        format_func=lambda span_id: _choice(by_id[span_id], wrong=span_id in problems),
        key="step",
        on_change=lambda: st.query_params.update({"step": st.session_state["step"]}),
    )
    right.button(
        f"First problem ({len(wrong)})" if wrong else "No problem steps",
        icon=":material/warning:",
        disabled=not wrong,
        on_click=lambda: st.query_params.update({"step": wrong[0].span_id}),
        width="stretch",
    )
    if asked and asked not in by_id:
        st.warning(plain(f"Step {asked} is not in this run; shown instead: {title(picked)}."))
    return picked


def _choice(step: Step, *, wrong: bool) -> str:
    return f"{'▲ ' if wrong else ''}{title(step)} · {took(step)} · at {duration(step.start_ms)}"


def _clicked() -> None:
    chosen = st.session_state["waterfall"]["selection"].get(SELECTION, [])
    if chosen:
        st.query_params["step"] = chosen[0]["span_id"]


def _table(path: Sequence[Step], problems: Mapping[str, Sequence[str]]) -> None:
    table(
        {
            "Step": ["\u2003" * min(step.depth, _DEEPEST) + title(step) for step in path],
            "Began": [clock(step.ts) for step in path],
            "Took": [took(step) for step in path],
            "Problem": ["▲ " + "; ".join(problems[s.span_id]) if s.span_id in problems else "none" for s in path],
        }
    )


page()
