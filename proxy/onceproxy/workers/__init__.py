"""Several processes behind one port: a supervisor, and workers that are each a proxy of their own."""
