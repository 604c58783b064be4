"""What holds for every ring of tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# A deadline for each example would measure how busy the machine is, not whether the code is right.
settings.register_profile("vllama", deadline=None)
settings.load_profile("vllama")

# Who ends a run from outside (a CI's time limit) ends it as Ctrl-C does, so that fixtures stop what they started.
signal.signal(signal.SIGTERM, signal.default_int_handler)
# A shell starts what runs in its background with Ctrl-C ignored, and so would be all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
