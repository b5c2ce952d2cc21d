"""The way out: one connection, one request, and a report of what is proven."""
