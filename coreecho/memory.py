"""Out of memory: what does not fit, on which device, and what to lower, in place of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from coreecho.errors import CoReEchoError

HOST_MESSAGES = ("can't allocate memory", "not enough memory")
"""How PyTorch's allocator on the host says that there is none left, which has no class of its own."""


@contextmanager
def advice(what: str, remedies: str) -> Iterator[None]:
    """Turns an allocation that failed inside the block into an error that says what to lower.

    Args:
        what: what was being computed, and its size.
        remedies: what to lower, in the order to try it.

    Raises:
        CoReEchoError: memory ran out.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        host = any(message in str(error) for message in HOST_MESSAGES)
        if not host and not isinstance(error, MemoryError | torch.OutOfMemoryError):
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CoReEchoError(f"out of memory: {what} does not fit ({first[:200]}); {remedies}") from None
