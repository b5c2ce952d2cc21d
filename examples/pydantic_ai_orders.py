"""An agent of Pydantic AI that runs twice, as after a crash: ``python examples/pydantic_ai_orders.py``.

The model is scripted, so this runs without a network and without a key.
"""

import sys

from pydantic_ai import Agent, ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from onceproxy.agents.pydantic_ai import once_tool


@once_tool(scope=lambda ctx: ctx.deps)
def place_order(item: int) -> str:
    """Order an item."""
    print(f"ordering {item}", flush=True)  # the effect
    return f"ordered item {item}"


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Call the tool, and then repeat what it said."""
    last = messages[-1].parts[-1]
    if isinstance(last, ToolReturnPart):
        return ModelResponse([TextPart(str(last.content))])
    return ModelResponse([ToolCallPart("place_order", {"item": 7})])


agent = Agent(FunctionModel(scripted), deps_type=str, tools=[place_order])
for _ in range(2):
    print(agent.run_sync("Order item 7.", deps=sys.argv[1] if len(sys.argv) > 1 else "order-desk-42").output)
