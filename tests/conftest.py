"""What holds for every ring of tests."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import settings

from tests.real import real

__all__ = ["real"]

# A deadline for each example would measure how busy the machine is, not whether the code is right.
settings.register_profile("vllama", deadline=None)
settings.load_profile("vllama")

# Who ends a run from outside (a CI's time limit) ends it as Ctrl-C does, so that fixtures stop what they started.
signal.signal(signal.SIGTERM, signal.default_int_handler)
# A shell starts what runs in its background with Ctrl-C ignored, and so would be all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same with a closed terminal, for runs that were started by nohup.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What ``--dist loadscope`` means here."""
    from tests.by_service import ByService

    return ByService(config, log) if config.getvalue("dist") == "loadscope" else None
