"""onceproxy: an HTTP proxy that makes side effects happen once.

The package is three rings, and imports point inwards only (`pyproject.toml` holds the contracts):

- ``core``: pure values and decisions: identity, states, outcomes, problems.
- ``guard``: claim → execute → complete, over the ``Store`` and ``Execute`` ports.
- the edges: ``ingress`` (HTTP in), ``upstream`` (HTTP out), ``store`` (Postgres), ``spool`` (answers on the
  disk that the database does not take), ``config`` (YAML), ``admin`` (health, metrics), ``cli`` (commands).

``serve`` is the one composition root that joins the edges.
"""

from onceproxy.version import __version__

__all__ = ["__version__"]
