"""How pytest-xdist shares out the tests with real vLLM."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

_APART = frozenset(
    f"tests/{name}.py"
    for name in (
        *("contract/test_loads", "engine/test_compiled_code", "engine/test_faults", "engine/test_grammars"),
        *("engine/test_installed", "engine/test_plugin", "engine/test_swapping"),
    )
)
"""Files of the rings with real vLLM whose tests do without the shared service."""


class ByService(LoadScopeScheduling):
    """One process runs all tests with the shared service, file by file; others meanwhile those that do without it."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in _APART else "real"
