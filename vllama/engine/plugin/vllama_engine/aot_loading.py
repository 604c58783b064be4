"""Compiled code is loaded where vLLM 0.32 would throw it away and compile again: on every CPU, at every start.

vLLM keeps what torch.compile made (``torch_aot_compile/…/model``). It loads it at the next start and then calls
``finalize_loading`` of the loaded function. Its own backend's functions have that method. Those of torch's Inductor,
which vLLM uses on a CPU, do not: the AttributeError counts as "load failure", and the model is compiled again, which
takes a minute for 30 layers. Such a function is complete once it is loaded, so its method has nothing to do.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .changing import Unfit, source_of

MODULE = "torch._dynamo.aot_compile_types"
CALLER = "vllm.compilation.decorators"
CALL = "loaded_fn._artifacts.compiled_fn.finalize_loading(model.vllm_config)"


def apply(module: ModuleType) -> None:
    """Give Inductor's loaded functions the method that vLLM calls."""
    if CALL not in source_of(CALLER):
        raise Unfit("this vLLM loads compiled code in another way")
    loaded: Any = getattr(module, "BundledAOTAutogradSerializableCallable", None)
    if loaded is None:
        raise Unfit("this torch keeps compiled code in another way")
    if hasattr(loaded, "finalize_loading"):
        raise Unfit("this torch has the method itself")
    loaded.finalize_loading = finalize_loading


def finalize_loading(function: Any, vllm_config: Any) -> None:
    """Nothing is left to be done."""
