"""The guard around a web application's own handlers: a webhook that is delivered again runs once.

``OnceMiddleware`` is for ASGI (FastAPI, Starlette, Litestar, Django, …), and what ``for_aiohttp`` has for
aiohttp. Both take the routes of a configuration file, or the same in Python.
"""

from onceproxy.webhooks.asgi import OnceMiddleware

__all__ = ["OnceMiddleware"]
