"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The published reference data: the folder named by A4NN_REFERENCE_DATA."""
    folder = os.environ.get("A4NN_REFERENCE_DATA")
    if not folder:
        pytest.skip(
            "A4NN_REFERENCE_DATA is not set; the published runs are in "
            "github.com/TauferLab/Reproducibility_A4NN_ICPP23 (see docs/architecture.md)"
        )
    path = Path(folder).resolve()
    assert path.is_dir(), f"A4NN_REFERENCE_DATA names {path}, which is not a folder"
    return path
