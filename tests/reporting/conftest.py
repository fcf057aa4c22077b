from __future__ import annotations

import pytest

from .fabricate import Fabricated


@pytest.fixture
def workspace() -> Fabricated:
    """An empty fabricated workspace."""
    return Fabricated()
