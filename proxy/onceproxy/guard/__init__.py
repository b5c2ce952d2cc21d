"""The protocol claim → execute → complete, over two small ports: ``Store`` and ``Execute``."""
