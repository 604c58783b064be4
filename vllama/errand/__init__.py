"""Errands: one task in a process of ours, which reports progress and ends with one result or one error.

The parent (``errand.parent``) writes one line of JSON to the child's standard input, ``{"order": ..., "secrets": {}}``,
and keeps it open: its end means that the parent has gone, and ends the child. The child (``errand.program``) writes
lines of JSON to its standard output (``errand.lines``)::

    {"stage": "weights", "done": 1048576, "total": 4194304}     any number of them
    {"result": ...}                                             the last one, or
    {"error": {"kind": "pull_failed", "cause": ..., "hint": ..., "where": ...}}

Its standard error is kept for the log. A child that ends without a result has failed, and its last line says why.

Other children of ours are something else by nature. An engine, the engine that compiles and the spare interpreter live
long and answer on a socket (``engine.process``). A worker does many jobs and answers with Python's values
(``aside.worker``). ``install.ask`` runs in the engine's interpreter, which has none of our code. uv speaks its own
language (``install.runner``).
"""
