"""A LangGraph agent that orders, and is run again: ``python examples/langgraph_orders.py``.

The model is scripted, so this runs without a network and without a key.
"""

import sys
from itertools import count

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from onceproxy.agents.langchain import once_tool

orders = count(1)
ASKS = AIMessage("", tool_calls=[{"name": "place_order", "args": {"item": 7}, "id": "call_1"}])


@once_tool()
def place_order(item: int) -> str:
    """Order an item."""
    print(f"ordering {item}", flush=True)  # the effect
    return f"order {next(orders)} of item {item}"


model = GenericFakeChatModel(messages=iter([ASKS, AIMessage("Done.")] * 2))
graph = StateGraph(MessagesState)
graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
graph.add_node("tools", ToolNode([place_order]))
graph.add_edge(START, "model")
graph.add_conditional_edges("model", lambda state: "tools" if state["messages"][-1].tool_calls else END)
graph.add_edge("tools", "model")
agent = graph.compile()

# The same thread twice, as after a crash: the model's call is the one of the checkpoint.
for _ in range(2):
    thread = {"configurable": {"thread_id": sys.argv[1] if len(sys.argv) > 1 else "thread-42"}}
    told = agent.invoke({"messages": [("user", "Order item 7.")]}, thread)
    print(told["messages"][-2].content)
