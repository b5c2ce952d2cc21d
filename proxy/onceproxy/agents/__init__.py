"""Tools of agents that run once: wrappers for LangChain, the OpenAI Agents SDK, Pydantic AI and MCP servers.

Each framework is imported by its module alone: ``from onceproxy.agents.langchain import once_tool``.
"""
