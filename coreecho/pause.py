"""Pre-emption: SIGTERM ends a training at a point from which it can go on, bit for bit, with nothing lost.

Clusters send SIGTERM some time before they take a machine back. Inside `Pause.watch` that signal raises
`PreemptionError`: at once where the weights stand still, such as while an epoch is validated, and at the end of the
block within `Pause.hold`, such as after an optimisation step.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coreecho.distributed import gather_objects
from coreecho.errors import CoReEchoError


class PreemptionError(CoReEchoError):
    """The system asked for the machine; everything is saved."""

    exit_status = 128 + signal.SIGTERM


class Pause:
    """Whether SIGTERM has come, and when to act on it."""

    def __init__(self) -> None:
        """Nobody has asked for anything yet."""
        self.told = False
        self._held = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Acts on SIGTERM inside the block; elsewhere, and outside the main thread, it ends the process as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._tell)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Lets the block come to its end first; what is asked for inside it waits for `act`."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def agree(self) -> None:
        """Tells all processes that train together what one of them was told; all must be here."""
        self.told = any(gather_objects(self.told))

    def act(self) -> None:
        """Raises `PreemptionError` if SIGTERM has come."""
        if self.told:
            raise PreemptionError(
                "ended by SIGTERM; everything is saved, and the same command goes on where it stopped"
            )

    def _tell(self, number: int, frame: Any) -> None:
        self.told = True
        if not self._held:
            self.act()
