"""``once`` for what runs in the worker of a queue: a message that is delivered again runs once.

One module for each library, which it imports; nothing else does. A task is a guarded function (see
``functions``) whose key is its message's id, which a redelivery keeps.
"""
