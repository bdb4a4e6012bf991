"""Recorded conversations played again through the agent: the model, the customer and the desk say what they said then.

A recording is {task_id, trial, reward, info, traj}: chat messages with tool calls and tool results, as tau-bench writes
them. Neither times nor tokens are in it: the replay takes the time it takes, and estimates the tokens.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from tachograph.demo.airline.agent import Conversation
from tachograph.demo.airline.model import Message, Reply, ToolRequest, Usage, estimated_tokens
from tachograph.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MODEL, PROVIDER = "gpt-4o", "openai"
_STOP = "###STOP###"  # how the recorded customers say that they are done


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded conversation."""

    session: str
    user: str
    reward: float
    messages: tuple[Mapping[str, Any], ...]


def read(path: Path | None) -> list[Recording]:
    """The recordings of a JSON file, gzipped or not; without a path those that come with tachograph."""
    if path is None:
        return _parse(files("tachograph.demo.airline").joinpath("scenario.json").read_bytes(), "scenario.json")
    try:
        data = path.read_bytes()
        return _parse(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data, str(path))
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{path} cannot be read ({reason}); give --trajectories a file of recorded runs.") from None


def _parse(data: bytes, name: str) -> list[Recording]:
    try:
        entries = cast("list[dict[str, Any]]", json.loads(data))
        return [_recording(entry) for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{name} holds no recorded runs ({type(error).__name__}: {error}); a list of "
            "{task_id, trial, reward, info, traj} is expected."
        ) from None


def _recording(entry: Mapping[str, Any]) -> Recording:
    task = cast("Mapping[str, Any]", entry.get("info", {}).get("task", {}))
    return Recording(
        session=f"airline-{entry['task_id']}-{entry['trial']}",
        user=str(task.get("user_id", f"customer-{entry['task_id']}")),
        reward=float(entry["reward"]),
        messages=tuple(entry["traj"]),
    )


@dataclass(slots=True)
class Replay:
    """One recording at play: the agent's model, desk, customer and judge at once, each saying its next line."""

    recording: Recording
    _at: int = 0
    _policy: str = ""
    _counted: int = 0
    _input_tokens: int = 0
    _results: dict[str, str] = field(default_factory=dict[str, str])

    def conversation(self) -> Conversation:
        """The request that the agent gets."""
        policy = self._next("system")
        self._policy = _text(policy) if policy is not None else ""
        return Conversation(self.recording.session, self.recording.user, self._policy, self._customer(), self)

    def _next(self, role: str) -> Mapping[str, Any] | None:
        messages = self.recording.messages
        if self._at < len(messages) and messages[self._at].get("role") == role:
            self._at += 1
            return messages[self._at - 1]
        return None

    def _customer(self) -> Iterator[str]:
        while (message := self._next("user")) is not None and _STOP not in _text(message):
            yield _text(message)

    def reply(self, messages: list[Message]) -> Reply:
        """The recorded message of the model."""
        message = self._next("assistant") or {}
        self._input_tokens += sum(estimated_tokens(unseen.text) for unseen in messages[self._counted :])
        self._counted = len(messages) + 1  # what the model says now counts as it was said, tool calls included
        calls = cast("list[Mapping[str, Any]]", message.get("tool_calls") or [])
        said = _text(message) + "".join(call["function"]["name"] + call["function"]["arguments"] for call in calls)
        # recorded ids repeat within a run: each call gets one of its own
        requests = tuple(
            ToolRequest(
                f"call_{os.urandom(8).hex()}", call["function"]["name"], json.loads(call["function"]["arguments"])
            )
            for call in calls
        )
        usage = Usage(self._input_tokens, estimated_tokens(said), "estimate")
        self._input_tokens += usage.output_tokens
        return Reply(_text(message), requests, MODEL, PROVIDER, usage)

    def perform(self, tool: str, arguments: dict[str, object], **_: object) -> str:  # noqa: ARG002 - what was asked is recorded too
        """The recorded result of the tool call."""
        message = self._next("tool")
        return _text(message) if message is not None else f"Error: no result of {tool} is recorded"

    def outcome(self) -> str:
        """What the recording's reward says."""
        return "success" if self.recording.reward == 1 else "failed"


def _text(message: Mapping[str, Any]) -> str:
    return str(message.get("content") or "")
