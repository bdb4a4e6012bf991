"""Which attributes carry content (what people, models and tools said) in every dialect that agents speak.

A key maps to the dialect that it comes from; a key that ends in `.*` means all keys below it. Off by default means
that these never leave the process; names, counts, hashes and ids stay.
"""

from __future__ import annotations

from typing import Final

from tachograph.registry import names

CONTENT_KEYS: Final[dict[str, str]] = {
    "tachograph.content.*": "tachograph",
    "gen_ai.input.messages": "gen_ai 0.1.0",
    "gen_ai.output.messages": "gen_ai 0.1.0",
    "gen_ai.system_instructions": "gen_ai 0.1.0",
    "gen_ai.tool.definitions": "gen_ai 0.1.0",
    "gen_ai.tool.call.arguments": "gen_ai 0.1.0",
    "gen_ai.tool.call.result": "gen_ai 0.1.0",
    "gen_ai.retrieval.query.text": "gen_ai 0.1.0",
    "gen_ai.retrieval.documents": "gen_ai 0.1.0",
    "gen_ai.memory.query.text": "gen_ai 0.1.0",
    "gen_ai.memory.records": "gen_ai 0.1.0",
    "gen_ai.prompt.variable.*": "gen_ai 0.1.0",
    "gen_ai.evaluation.explanation": "gen_ai 0.1.0",
    "gen_ai.prompt": "gen_ai <= 1.27",
    "gen_ai.completion": "gen_ai <= 1.27",
    "gen_ai.prompt.0.*": "OpenLLMetry",
    "gen_ai.completion.0.*": "OpenLLMetry",
    "llm.prompts.*": "OpenLLMetry",
    "llm.completions.*": "OpenLLMetry",
    "llm.request.functions.*": "OpenLLMetry",
    "traceloop.entity.input": "OpenLLMetry",
    "traceloop.entity.output": "OpenLLMetry",
    "traceloop.prompt.template": "OpenLLMetry",
    "traceloop.prompt.template_variables": "OpenLLMetry",
    "input.value": "OpenInference",
    "output.value": "OpenInference",
    "llm.input_messages.*": "OpenInference",
    "llm.output_messages.*": "OpenInference",
    "llm.prompt_template.template": "OpenInference",
    "llm.prompt_template.variables": "OpenInference",
    "llm.function_call": "OpenInference",
    "llm.tools.*": "OpenInference",
    "tool.parameters": "OpenInference",
    "tool_call.function.arguments": "OpenInference",
    "embedding.embeddings.*": "OpenInference",
    "retrieval.documents.*": "OpenInference",
    "reranker.query": "OpenInference",
    "reranker.input_documents.*": "OpenInference",
    "reranker.output_documents.*": "OpenInference",
    "all_messages_events": "pydantic-ai",
    "events": "pydantic-ai",
    "final_result": "pydantic-ai",
    "model_request_parameters": "pydantic-ai",
    "pydantic_ai.all_messages": "pydantic-ai",
    "tool_arguments": "pydantic-ai",
    "tool_response": "pydantic-ai",
    "request_data": "logfire",
    "response_data": "logfire",
    "mlflow.spanInputs": "mlflow",
    "mlflow.spanOutputs": "mlflow",
    "mlflow.chat.messages": "mlflow",
    "mlflow.chat.tools": "mlflow",
}

CONTENT_EVENTS: Final[dict[str, str]] = {
    "gen_ai.system.message": "gen_ai <= 1.36",
    "gen_ai.user.message": "gen_ai <= 1.36",
    "gen_ai.assistant.message": "gen_ai <= 1.36",
    "gen_ai.tool.message": "gen_ai <= 1.36",
    "gen_ai.choice": "gen_ai <= 1.36",
    "gen_ai.content.prompt": "gen_ai <= 1.27",
    "gen_ai.content.completion": "gen_ai <= 1.27",
    "gen_ai.client.inference.operation.details": "gen_ai 0.1.0",
}
"""Events whose body is content, and whose attributes are, but for numbers and `BESIDE_CONTENT`."""

IDENTIFIERS: Final = frozenset(
    {
        "tachograph.run.id",
        "tachograph.tenant.id",
        "tachograph.cache.entry.tenant.id",
        "tachograph.release.id",
        "tachograph.approval.id",
        "tachograph.audit.chain",
        "tachograph.audit.hash",
        "tachograph.audit.id",
        "tachograph.audit.previous",
        "tachograph.degradation.id",
        "tachograph.user.hash",
        "tachograph.approval.approver.hash",
        "tachograph.approval.approvers",
        "tachograph.approval.diff.hash",
        "tachograph.tool.arguments.hash",
        "tachograph.tool.idempotency.key_hash",
        "tachograph.cache.key.hash",
        "gen_ai.conversation.id",
        "gen_ai.tool.call.id",
        "session.id",
        "tachograph.evidence.source.ref",
        "tachograph.tool.documents",
        "log.record.uid",
    }
)
"""Hashed where a secret is in them, never redacted: telemetry is joined by them, and one replaced digit group would
merge strangers' runs."""

PERSONS: Final = frozenset(
    {
        "enduser.id",
        "enduser.pseudo.id",
        "langfuse.user.id",
        "traceloop.association.properties.user_id",
        "user.email",
        "user.full_name",
        "user.id",
        "user.name",
    }
)
"""Say who the end user is: always hashed."""

REASONS: Final = frozenset({"tachograph.checkpoint.reason", "tachograph.routing.reason"})
"""Sentences beside a decision: recorded by their size while content is off, unless they are one word."""

NAMES: Final = frozenset(
    {
        "code.file.path",
        "code.filepath",
        "deployment.environment.name",
        "error.type",
        "exception.type",
        "host.name",
        "http.route",
        "os.description",
        "os.name",
        "process.runtime.description",
        "service.name",
        "service.namespace",
        "service.version",
        "telemetry.distro.name",
        "telemetry.sdk.name",
        "thread.name",
        "user_agent.original",
    }
)
"""Declared names: what they hold is no content, so it is kept, without secrets, also where it is more than one word."""

NAMED_BELOW: Final = ("tachograph.", "gen_ai.")
"""Where names and numbers stand, if the names are declared: what else stands there is any attribute."""

# Of OpenTelemetry's semantic conventions (1.27 to 1.41, gen_ai 0.1.0), beside those that the registry has.
_CONVENTIONS: Final = frozenset(
    {
        "gen_ai.agent.finish_reason",
        "gen_ai.agent.handoff.source.name",
        "gen_ai.agent.handoff.target.name",
        "gen_ai.agent.id",
        "gen_ai.agent.version",
        "gen_ai.data_source.id",
        "gen_ai.handoff.from_agent",
        "gen_ai.openai.request.response_format",
        "gen_ai.openai.request.service_tier",
        "gen_ai.openai.response.service_tier",
        "gen_ai.openai.response.system_fingerprint",
        "gen_ai.output.type",
        "gen_ai.prompt.name",
        "gen_ai.request.encoding_formats",
        "gen_ai.response.id",
        "gen_ai.system",
        "gen_ai.token.type",
        "gen_ai.tool.type",
        "gen_ai.workflow.name",
    }
)
DECLARED: Final = _CONVENTIONS.union(
    value for value in vars(names).values() if isinstance(value, str) and value.startswith(NAMED_BELOW)
)
"""Names below those whose texts are names themselves, such as an agent's."""

BESIDE_CONTENT: Final = frozenset(
    {
        *names.COMMON,
        "gen_ai.agent.id",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.id",
        "gen_ai.response.model",
        "gen_ai.system",
        "gen_ai.tool.call.id",
        "gen_ai.tool.name",
    }
)
"""The texts that an event with content keeps while content is off; of the others, any may be what was said."""
