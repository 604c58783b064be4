"""What holds for every ring of tests."""

from __future__ import annotations

from hypothesis import settings

# A deadline for each example would measure how busy the machine is, not whether the code is right.
settings.register_profile("vllama", deadline=None)
settings.load_profile("vllama")
