"""YAML, environment and flags to validated settings, or to a list of all that is wrong and where.

``model`` says what can be set; ``address``, ``units`` and ``values`` read single values; ``document`` reads
the file and remembers lines; ``references`` fills ``${NAME}`` in; ``wording`` puts an error into words;
``load`` joins them; ``schema`` writes the JSON Schema for editors. The user's side is docs/configuration.md.
"""
