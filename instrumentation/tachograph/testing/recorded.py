"""What was recorded, with assertions in the words of the ten patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachograph.errors import UsageError
from tachograph.patterns.tool import NOT_EXECUTED
from tachograph.registry import load
from tachograph.registry import names as n
from tachograph.testing import failure, subjects
from tachograph.testing.facts import Fact, Subject, Word, did_you_mean, require_possible, wanted
from tachograph.testing.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tachograph.instrument import Report
    from tachograph.patterns.budget import Action, BudgetType, Scope
    from tachograph.patterns.cache import CacheScope, Operation
    from tachograph.patterns.checkpoint import Enforcement, Stage
    from tachograph.patterns.degraded import Mode, Trigger
    from tachograph.patterns.evidence import Source
    from tachograph.patterns.release import Decision, Track, Verdict
    from tachograph.patterns.routing import Method
    from tachograph.patterns.tool import Circuit, Effect


class Recorded(Reading):
    """What was recorded, and assertions about it.

    Each assertion takes only the words that matter and gives the spans or events that are meant, as `Fact`s. Without
    `times` there must be one or more of them, with `times` exactly so many. A failure says what was looked for, what
    was seen instead and what to do; a value that the registry does not know raises UsageError, as the test is wrong
    then. Spans that have not ended are not seen.
    """

    __slots__ = ()

    # -- P01 guardrail checkpoints
    def assert_checkpoint(
        self,
        *,
        stage: Stage | None = None,
        decision: str | None = None,
        name: str | None = None,
        rule: str | None = None,
        policy: str | None = None,
        policy_version: str | None = None,
        score: float | None = None,
        tool: str | None = None,
        enforcement: Enforcement | None = None,
        redactions: int | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A guardrail was passed and decided so: `assert_checkpoint(stage="pre_tool", decision="deny")`."""
        __tracebackhide__ = True
        words = _words(locals())
        return self._assert("assert_checkpoint", subjects.CHECKPOINT, words, times)

    def assert_no_checkpoint(
        self,
        *,
        stage: Stage | None = None,
        decision: str | None = None,
        name: str | None = None,
        rule: str | None = None,
        tool: str | None = None,
    ) -> None:
        """No guardrail decided so: `assert_no_checkpoint(decision="error")`."""
        __tracebackhide__ = True
        self._assert("assert_no_checkpoint", subjects.CHECKPOINT, _words(locals()), 0)

    # -- P02 risk tiers and approvals
    def assert_approval(
        self,
        *,
        tool: str | None = None,
        status: str | None = None,
        approvers: int | None = None,
        diff_shown: bool | None = None,
        tier: int | None = None,
        mode: str | None = None,
        role: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """Approval was asked for: `assert_approval(tool="refund", status="approved", approvers=2, diff_shown=True)`."""
        __tracebackhide__ = True
        return self._assert("assert_approval", subjects.APPROVAL, _words(locals()), times)

    def assert_audit(
        self,
        *,
        action: str | None = None,
        tool: str | None = None,
        status: str | None = None,
        outcome: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """It is on the audit log: `assert_audit(action="approval", tool="refund", status="approved")`."""
        __tracebackhide__ = True
        return self._assert("assert_audit", subjects.AUDIT, _words(locals()), times)

    # -- P03 tool contracts
    def assert_tool(
        self,
        name: str | None = None,
        *,
        outcome: str | None = None,
        effect: Effect | None = None,
        authz: str | None = None,
        tier: int | None = None,
        attempt: int | None = None,
        input: str | None = None,
        output: str | None = None,
        idempotency: str | None = None,
        circuit: Circuit | None = None,
        role: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A tool was called: `assert_tool("refund", outcome="success", authz="allow", output="valid", times=1)`."""
        __tracebackhide__ = True
        return self._assert("assert_tool", subjects.TOOL, _words(locals()), times)

    def assert_not_called(self, name: str) -> None:
        """The tool did not run; calls that were denied, invalid on input or not executed did not run either."""
        __tracebackhide__ = True
        asked = wanted(subjects.TOOL, {"name": name})
        reason = failure.blind("assert_not_called", asked, self)
        ran = [fact for fact in self.facts("tool") if fact[n.TOOL_OUTCOME] not in NOT_EXECUTED]
        ran = [fact for fact in ran if not asked.misses(fact)]
        if reason is not None or ran:
            raise AssertionError(reason or failure.surplus("assert_not_called", asked, 0, ran))

    def assert_retry(
        self, *, tool: str | None = None, attempt: int | None = None, error: str | None = None, times: int | None = None
    ) -> list[Fact]:
        """A tool call was tried again: `assert_retry(tool="refund", attempt=2, error="TimeoutError")`."""
        __tracebackhide__ = True
        return self._assert("assert_retry", subjects.RETRY, _words(locals()), times)

    # -- P04 evidence-carrying results
    def assert_evidence(
        self,
        *,
        resolution: str | None = None,
        claim: str | None = None,
        source: Source | None = None,
        ref: str | None = None,
        producer: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A claim says what it rests on: `assert_evidence(claim="no_refund", resolution="resolved")`."""
        __tracebackhide__ = True
        return self._assert("assert_evidence", subjects.EVIDENCE, _words(locals()), times)

    # -- P05 budgets and stop conditions
    def assert_budget(
        self,
        *,
        type: BudgetType | None = None,
        state: str | None = None,
        action: Action | None = None,
        scope: Scope | None = None,
        limit: float | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A budget was looked at: `assert_budget(type="cost", state="hit", action="degrade")`."""
        __tracebackhide__ = True
        return self._assert("assert_budget", subjects.BUDGET, _words(locals()), times)

    # -- P06 routing and decomposition
    def assert_route(
        self,
        *,
        router: str | None = None,
        selected: str | None = None,
        candidates: Iterable[str] | None = None,
        method: Method | None = None,
        outcome: str | None = None,
        constrained: bool | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A route was chosen: `assert_route(router="desk", selected="refund", candidates=["refund", "person"])`."""
        __tracebackhide__ = True
        candidates = None if candidates is None else list(candidates)
        return self._assert("assert_route", subjects.ROUTE, _words(locals()), times)

    def assert_plan(self, *, subtasks: int | None = None, times: int | None = None) -> list[Fact]:
        """A task was taken apart: `assert_plan(subtasks=2)`."""
        __tracebackhide__ = True
        return self._assert("assert_plan", subjects.PLAN, _words(locals()), times)

    def assert_delegation(
        self,
        *,
        to: str | None = None,
        source: str | None = None,
        subtask: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A subtask was handed on: `assert_delegation(to="refund_agent", times=2)`."""
        __tracebackhide__ = True
        return self._assert("assert_delegation", subjects.DELEGATE, _words(locals()), times)

    def assert_combination(
        self, *, strategy: str | None = None, inputs: int | None = None, times: int | None = None
    ) -> list[Fact]:
        """Results became one: `assert_combination(strategy="merge", inputs=2)`."""
        __tracebackhide__ = True
        return self._assert("assert_combination", subjects.COMBINE, _words(locals()), times)

    # -- P07 concurrency limits
    def assert_limiter(
        self,
        name: str | None = None,
        *,
        outcome: str | None = None,
        limit: int | None = None,
        in_use: int | None = None,
        queue: int | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A call asked a limiter: `assert_limiter("models", outcome="rejected", limit=4, in_use=4)`."""
        __tracebackhide__ = True
        return self._assert("assert_limiter", subjects.LIMITER, _words(locals()), times)

    # -- P08 safe caching
    def assert_cache(
        self,
        name: str | None = None,
        *,
        result: str | None = None,
        scope: CacheScope | None = None,
        operation: Operation | None = None,
        parts: Iterable[str] | None = None,
        writer: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A cache was used: `assert_cache("answers", result="hit", scope="tenant", writer="acme")`."""
        __tracebackhide__ = True
        parts = None if parts is None else list(parts)
        return self._assert("assert_cache", subjects.CACHE, _words(locals()), times)

    # -- P09 degraded mode
    def assert_degraded(
        self,
        *,
        mode: Mode | None = None,
        trigger: Trigger | None = None,
        component: str | None = None,
        disclosed: bool | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """The agent went on with less: `assert_degraded(mode="no_retrieval", trigger="timeout", disclosed=True)`."""
        __tracebackhide__ = True
        return self._assert("assert_degraded", subjects.DEGRADED, _words(locals()), times)

    def assert_not_degraded(self) -> None:
        """The agent was in no degraded mode."""
        __tracebackhide__ = True
        self._assert("assert_not_degraded", subjects.DEGRADED, {}, 0)

    # -- P10 canaries and release gates
    def assert_release(
        self, *, id: str | None = None, track: Track | None = None, times: int | None = None
    ) -> list[Fact]:
        """A release was assigned: `assert_release(id="airline-13", track="canary")`."""
        __tracebackhide__ = True
        return self._assert("assert_release", subjects.RELEASE, _words(locals()), times)

    def assert_evaluation(
        self,
        name: str | None = None,
        *,
        label: str | None = None,
        score: float | None = None,
        suite: str | None = None,
        case_id: str | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """Something was judged: `assert_evaluation("helpful", label="pass", suite="golden", case_id="case-17")`."""
        __tracebackhide__ = True
        return self._assert("assert_evaluation", subjects.EVALUATION, _words(locals()), times)

    def assert_gate(
        self,
        name: str | None = None,
        *,
        verdict: Verdict | None = None,
        decision: Decision | None = None,
        samples: int | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A release gate decided: `assert_gate("canary", verdict="no_data", decision="hold")`."""
        __tracebackhide__ = True
        return self._assert("assert_gate", subjects.GATE, _words(locals()), times)

    # -- runs and what they cost
    def assert_run(
        self,
        *,
        outcome: str | None = None,
        stop_reason: str | None = None,
        tier: int | None = None,
        workflow: str | None = None,
        tenant: str | None = None,
        turns: int | None = None,
        suspended: bool | None = None,
        times: int | None = None,
    ) -> list[Fact]:
        """A request was worked on: `assert_run(outcome="refused", stop_reason="guardrail", tier=1)`."""
        __tracebackhide__ = True
        return self._assert("assert_run", subjects.RUN, _words(locals()), times)

    def assert_llm_calls(
        self,
        count: int | None = None,
        *,
        tokens: int | None = None,
        model: str | None = None,
        provider: str | None = None,
        outcome: str | None = None,
    ) -> list[Fact]:
        """Models were called `count` times, for so many input and output tokens: `assert_llm_calls(2, tokens=1842)`."""
        __tracebackhide__ = True
        words = {"model": model, "provider": provider, "outcome": outcome}
        calls = self._assert("assert_llm_calls", subjects.LLM, words, count)
        spent = [(fact[n.GEN_AI_USAGE_INPUT_TOKENS] or 0, fact[n.GEN_AI_USAGE_OUTPUT_TOKENS] or 0) for fact in calls]
        if tokens is not None and tokens != sum(map(sum, spent)):
            each = ", ".join(
                f"{fact.name} {given} in + {made} out" for fact, (given, made) in zip(calls, spent, strict=True)
            )
            raise AssertionError(
                f"assert_llm_calls(tokens={tokens}): {sum(map(sum, spent))} were used: {each or 'no call'}."
            )
        return calls

    # -- what must never happen
    def assert_detections(self, **counts: int) -> None:
        """These detections were counted so often, and no others: `assert_detections(tool_unchecked=1)`."""
        __tracebackhide__ = True
        _require_rules(counts)
        self._asserted.update(counts)
        counted = self.detections()
        if counted != {rule: times for rule, times in counts.items() if times}:
            raise AssertionError(failure.detections("assert_detections", counted, counts, self))

    def assert_no_detections(self, *rules: str) -> None:
        """Nothing that must never happen was counted.

        For the `rules` that are named, every hook that they need was there too: "not instrumented" is not "clean".
        """
        __tracebackhide__ = True
        _require_rules(rules)
        counted = {rule: times for rule, times in self.detections().items() if not rules or rule in rules}
        if counted:
            raise AssertionError(failure.detections("assert_no_detections", counted, {}, self))
        lines = failure.unjudged(rules, self)
        if not self.sdk_spans() and not self.log_exporter.get_finished_logs():
            lines = [failure.ELSEWHERE if self.replaced else "  Nothing was recorded, so nothing was judged.", *lines]
        if lines:
            raise AssertionError("\n".join([f"assert_no_detections({', '.join(rules)}): nobody can tell.", *lines]))

    # -- anything of the registry
    def assert_recorded(
        self, what: str, attributes: Mapping[str, object] | None = None, *, times: int | None = None
    ) -> list[Fact]:
        """A span of a kind, or an event of a name, with these attributes of the registry.

        `assert_recorded("tool", {"tachograph.tool.timeout": 5.0})`
        """
        __tracebackhide__ = True
        registry = load()
        if what not in registry.spans and what not in registry.events:
            raise UsageError(
                did_you_mean(what, [*registry.spans, *registry.events], "the registry of spans and events")
            )
        asked = dict(attributes or {})
        for attribute, value in asked.items():
            if attribute not in registry.attributes:
                raise UsageError(did_you_mean(attribute, registry.attributes, "the registry of attributes"))
            require_possible(attribute, attribute, value)
        words = {attribute: Word(attribute) for attribute in asked}
        hook = what if what in registry.hooks else _hook_of(what)
        subject = Subject(what, what, hook, f"a hook of {what}", words)
        return self._assert("assert_recorded", subject, asked, times)

    # -- plain agents
    def instrument(self, target: object, *, mapping: Mapping[str, str] | None = None) -> Report:
        """Hooks a plain agent by its names until the recording ends, as `tachograph.instrument(target)` does.

        No provider is made and nothing is sent. UsageError for a target or mapping that cannot be meant.
        """
        from tachograph.instrument import Report
        from tachograph.plain.install import install

        installation = install(target, mapping)
        self._installations.append(installation)
        agent = self.recorder.default_agent
        for hook in ("export", "processor", "instrument", "audit", *installation.hooks):
            self.recorder.cover(hook, agent)
        done = (installation.hooked, installation.skipped, installation.unrecognised)
        return Report(agent, *done, hooks=self.recorder.hooks(agent))

    def close(self) -> None:
        """Restores what `instrument` hooked, and notes whether the hooks wrote here to the end."""
        self._replaced, self._closed = self.replaced, True
        while self._installations:
            self._installations.pop().undo()

    def _assert(self, call: str, subject: Subject, words: Mapping[str, object], times: int | None) -> list[Fact]:
        __tracebackhide__ = True
        asked = wanted(subject, words)
        facts = self.facts(subject.source)
        matched = [fact for fact in facts if not asked.misses(fact)]
        reason = failure.blind(call, asked, self) if times == 0 else None
        if reason is not None:
            raise AssertionError(reason)
        if len(matched) < (1 if times is None else times):
            raise AssertionError(failure.missing(call, asked, times, facts, self))
        if times is not None and len(matched) > times:
            raise AssertionError(failure.surplus(call, asked, times, matched))
        return matched


def _words(given: Mapping[str, Any]) -> dict[str, Any]:
    """The words of an assertion among its arguments."""
    return {word: value for word, value in given.items() if word not in {"self", "times", "__tracebackhide__"}}


def _require_rules(rules: Iterable[str]) -> None:
    __tracebackhide__ = True
    for rule in rules:
        if rule not in n.DETECTIONS:
            raise UsageError(did_you_mean(rule, n.DETECTIONS, "the registry of detections"))


def _hook_of(event: str) -> str:
    return next(
        (
            subject.hook
            for subject in vars(subjects).values()
            if isinstance(subject, Subject) and subject.source == event
        ),
        event,
    )
