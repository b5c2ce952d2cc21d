"""An agent of the OpenAI Agents SDK that runs twice: ``python examples/openai_agents_orders.py``.

The model is scripted, so this runs without a network and without a key.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from onceproxy.agents.openai_agents import once_tool

set_tracing_disabled(True)
calls = count(1)


@dataclass
class Session:
    """What the tools of a run get to know."""

    id: str


@once_tool(scope=lambda session: session.id)
async def place_order(item: int) -> str:
    """Order an item."""
    print(f"ordering {item}", flush=True)  # the effect
    return f"ordered item {item}"


class Scripted(Model):
    """Calls the tool, by a new id each time, and then repeats what it said."""

    async def get_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> ModelResponse:
        """Say what comes next."""
        said = input[-1] if isinstance(input, list) else {}
        if said.get("type") == "function_call_output":
            text = ResponseOutputText(text=said["output"], type="output_text", annotations=[])
            answer: Any = ResponseOutputMessage(
                id="m", content=[text], role="assistant", status="completed", type="message"
            )
        else:
            answer = ResponseFunctionToolCall(
                call_id=f"call_{next(calls)}",
                name="place_order",
                arguments='{"item": 7}',
                type="function_call",
            )
        return ModelResponse(output=[answer], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Not here."""
        raise NotImplementedError


async def main() -> None:
    """Run the agent twice in one session."""
    agent = Agent(name="shop", model=Scripted(), tools=[place_order])
    session = Session(sys.argv[1] if len(sys.argv) > 1 else "session-42")
    for _ in range(2):
        print((await Runner.run(agent, "Order item 7.", context=session)).final_output)


asyncio.run(main())
