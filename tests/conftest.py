"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Recordings and real photos lie beside the checkout; tests that need them skip without them.
SHARED = Path(os.environ.get("SSD_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings and real data beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: recordings of the original and real photos are not here")
    return SHARED


@pytest.fixture(scope="session")
def oracle(shared: Path) -> Path:
    """The recordings of the original."""
    return shared / "oracle"
