"""A setting that vLLM looks up for every token is looked up once.

The statistics ask for each token whether corrupted logits are to be counted. Until vLLM caches its settings, which an
API server does not do, that reads the environment each time: 5 % of what the API server computes for a token.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

from .changing import Unfit, source_of

MODULE = "vllm.v1.metrics.stats"
_SETTING = "VLLM_COMPUTE_NANS_IN_LOGITS"


def apply(module: ModuleType) -> None:
    """Give the module what it reads of the settings, as a value."""
    text = source_of(MODULE)
    if text.count("envs.") != 1 or f"envs.{_SETTING}" not in text:
        raise Unfit("this vLLM's statistics read other settings")
    # mypy knows no attribute of a module that is a parameter
    module.envs = SimpleNamespace(**{_SETTING: getattr(module.envs, _SETTING)})  # type: ignore[attr-defined]
