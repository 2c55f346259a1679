"""How threads wait."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Have the threads of libraries that are loaded from now on sleep while they wait.

    By default PyTorch's wait in a loop, which takes many times as long where cores are shared.
    Results stay the same; what the user has set stays; a library that is loaded already ignores it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
