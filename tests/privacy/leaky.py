"""An agent that puts personal data wherever content can hide: a process, told by arguments what and where to."""

# ruff: noqa: RUF012, S310, S608, T201, TRY301 - a user's program, written without a thought

from __future__ import annotations

import contextlib
import json
import logging
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

from opentelemetry import _logs, metrics, propagate, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import Link, Status, StatusCode

import tachograph
from tachograph.instrument import exposition

planted, out = json.loads(sys.argv[1]), Path(sys.argv[2])
ALL = "; ".join(planted["kinds"].values())  # in texts
NAME = " ".join(planted["named"].values())  # in what the documentation declares a name or an id
DEEP = {"password": planted["kinds"]["key"], "note": ALL, "rows": [{"who": ALL}, ALL.encode(), (ALL, 13)], ALL: ALL}


class FailingAudit:
    def append(self, entry):
        raise RuntimeError(ALL)


class Request:
    def __init__(self):
        self.text, self.tenant, self.user, self.session = ALL, NAME, ALL, NAME


class Desk:
    """A plain agent, hooked by naming convention."""

    tools = {"find": SimpleNamespace(effect="read")}

    def handle(self, request):
        if self.validate_request(request.text):
            self.complete("gpt-4o", ALL)
        with contextlib.suppress(LookupError):
            self.call_tool("find", {"text": ALL, "deep": DEEP})
        return {"answer": ALL, "outcome": "refused", "claims": [{"claim": ALL, "source": "document", "ref": NAME}]}

    def validate_request(self, text):
        return True, ALL

    def complete(self, model, prompt):
        return {"text": ALL, "usage": {"input_tokens": 11, "output_tokens": 13}, "model": model}

    def call_tool(self, name, args):
        try:
            raise ValueError(ALL)
        except ValueError as error:
            raise LookupError(ALL) from error


def failing(message):
    try:
        raise ValueError(message)
    except ValueError as error:
        raise LookupError(message) from error


def hooks():
    with tachograph.run(NAME, workflow=NAME, tenant=NAME, session=NAME, user=ALL, release=NAME, id=NAME) as run:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        out.joinpath("headers").write_text(json.dumps(carrier), "utf-8")
        logging.getLogger("desk").warning("a line of the host")
        run.content(input=ALL, output=DEEP)
        with tachograph.turn(NAME):
            model()
            checks()
            with contextlib.suppress(LookupError):
                tool()
            routing()
        rest()
        with contextlib.suppress(LookupError), tachograph.tool(NAME, arguments=ALL):
            failing(ALL)
        frameworks()


def model():
    with tachograph.llm_call(NAME, provider=NAME) as call:
        call.content(input=[{"role": "user", "content": ALL}, DEEP], output=ALL)
        call.usage(input_tokens=11, output_tokens=13)
        call.response(model=NAME, finish_reasons=[NAME])
        call.outcome(NAME)

    @tachograph.llm_call(NAME)
    def ask(text):
        return {"answer": text}

    ask(ALL)


def checks():
    with tachograph.checkpoint(NAME, stage="pre_tool", tool=NAME, call_id=NAME) as check:
        check.decide("deny", rule=NAME, reason=ALL)
        check.redacted(3, [NAME])
    with tachograph.approval(NAME, arguments=DEEP, call_id=NAME, id=NAME) as request:
        request.shown({"before": ALL, "after": DEEP})
        request.approve(by=ALL, role=NAME)


def tool():
    arguments = {"text": ALL, "api_key": planted["kinds"]["key"], **DEEP}
    with tachograph.tool(
        NAME, effect="write", arguments=arguments, idempotency_key=ALL, call_id=NAME, role=NAME
    ) as call:
        tachograph.retry(2, error=ALL)
        tachograph.retry(3, error=ValueError(ALL))
        call.result(DEEP, documents=[NAME])
        call.outcome("error", error_type=NAME)
        failing(ALL)


def routing():
    with tachograph.route(NAME, candidates=[NAME, "refunds"], method="llm") as route:
        route.considered([NAME, "refunds"], [0.7, 0.3])
        route.choose(ALL, reason=ALL)
    with tachograph.plan(NAME) as plan:
        plan.subtasks(3)
    with tachograph.delegate(NAME, subtask=NAME), tachograph.combine(NAME, inputs=3):
        pass


def rest():
    with tachograph.limiter(NAME, limit=3) as limiter:
        limiter.acquired()
    with tachograph.cache(NAME, key=ALL, parts=[NAME]) as cache:
        cache.hit(tenant=NAME)
    with tachograph.degraded("partial_answer", trigger="policy", component=NAME, disclosed=True):
        pass
    tachograph.evidence(ALL, source="document", ref=NAME, producer=ALL, time=NAME)
    tachograph.evidence(NAME, source="tool_call", ref=NAME, producer=NAME, time=NAME)
    tachograph.release(NAME, track="canary")
    tachograph.evaluation(NAME, score=0.3, label=ALL, suite=NAME, case_id=NAME, error=ALL)
    tachograph.gate(NAME, verdict="no_data", decision="hold")


def frameworks():
    tracer = trace.get_tracer("framework")
    with tracer.start_as_current_span("before") as before:
        pass
    said = {
        "note": ALL,
        "list": [ALL, "gpt-4o"],
        "user.id": ALL,
        "url.full": f"https://host.example/find?q={ALL}",
        "http.request.header.authorization": [planted["kinds"]["token"]],
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": ALL}, {"password": ALL}]),
        "gen_ai.tool.call.arguments": ALL,
        "gen_ai.agent.name": NAME,
        "input.value": ALL,
        "llm.prompts.7.content": ALL,
        "db.query.text": f"SELECT * FROM people WHERE name = '{ALL}'",
        "exception.message": ALL,
        "enduser.id": planted["placed"]["object_id"],
        "user.name": planted["placed"]["mail_md5"],
        "app.note": planted["placed"]["sentence"],
        "gen_ai.response.text": planted["placed"]["sentence"],
        "gen_ai.something.new": ALL,
        "tachograph.something.new": ALL,
    }
    links = [Link(before.get_span_context(), {"why": ALL})]
    with contextlib.suppress(LookupError):
        with tracer.start_as_current_span(f"look up {NAME}", attributes=said, links=links) as span:
            span.add_event("seen", {"who": ALL, "body": ALL})
            span.add_event("gen_ai.user.message", {"content": ALL, "gen_ai.event.content": planted["placed"]["word"]})
            failing(ALL)
    owned = {"owner": ALL, "user.id": planted["placed"]["object_id"], "note": planted["placed"]["sentence"]}
    with trace.get_tracer("owned", "1.3", attributes=owned).start_as_current_span("of a scope with attributes"):
        pass
    metrics.get_meter("owned", attributes=owned).create_counter("app.visits").add(
        1, {"user.id": planted["placed"]["mail_md5"]}
    )
    with tracer.start_as_current_span("status") as span:
        span.set_status(Status(StatusCode.ERROR, ALL))
    log = _logs.get_logger("framework")
    for body in (ALL, {"deep": DEEP, "list": [ALL]}, [ALL, 13], ALL.encode()):
        log.emit(LogRecord(body=body, severity_number=SeverityNumber.INFO, attributes={"note": ALL, "deep": [ALL]}))
    log.emit(LogRecord(body={"content": ALL}, event_name="gen_ai.user.message", severity_number=SeverityNumber.INFO))
    metrics.get_meter("framework").create_counter("app.orders").add(1, {"customer": NAME, "kind": "refund"})
    metrics.get_meter("framework").create_histogram("app.wait").record(1.3, {"customer": NAME})


def main():
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s run=%(tachograph_run_id)s")
    report = tachograph.instrument(
        Desk,
        service_name=NAME,
        headers={"Authorization": f"Bearer {planted['kinds']['token']}", "X-Api-Key": planted["kinds"]["key"]},
        **({"audit_log": FailingAudit()} if planted["audit_fails"] else {}),
        **analyzer(),
    )
    print(report)
    Desk().handle(Request())
    hooks()
    out.joinpath("run_id").write_text(str(tachograph.run_id()), "utf-8")
    port = (
        next(note for note in report.notes if note.startswith("/metrics")).partition("127.0.0.1:")[2].partition("/")[0]
    )
    ask = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(ask, timeout=30) as answer:
        out.joinpath("metrics").write_bytes(answer.read())
    out.joinpath("exposition").write_bytes(exposition())
    assert tachograph.flush(60)
    tachograph.uninstrument()


def analyzer():
    if planted["model"] is None:
        return {}
    from privacy.names import engine

    return {"analyzer": engine(planted["model"])}


if __name__ == "__main__":
    main()
