"""Keeps child processes running, shows what they say, and stops them in order.

Everything happens in the thread that calls `run`, because the kernel ties each child to the thread that
started it; only the copying of output has threads of its own.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

from config.embedded.errors import EmbeddedError
from config.embedded.process import Child, Signals, stop_all

__all__ = ["Service", "Supervisor"]

_MAX_DELAY = 30.0
_STEADY_SECONDS = 60.0
_TICK = 0.1


@dataclass
class Service:
    """One child to keep running.

    Attributes:
        name: what the person reads before each of its lines.
        start: starts it, given the file for its output, and returns when it is usable.
        stop_signals: signals to stop it with, and the seconds to wait after each.
        stage: services of a higher stage stop first; those of one stage stop together.
    """

    name: str
    start: Callable[[IO[bytes]], Child]
    stop_signals: Signals
    stage: int = 0
    child: Child | None = None
    started: float = 0.0
    failures: int = 0
    starts: int = 0
    due: float = 0.0
    output: IO[bytes] | None = field(default=None, repr=False)


class Supervisor:
    """Runs services until it is told to stop.

    Args:
        output: the file that the child called `name` writes to; asked once for each service.
        say: prints one line of the supervisor's own.
        changed: called whenever a child was started, with all services.
    """

    def __init__(
        self,
        output: Callable[[str], IO[bytes]],
        say: Callable[[str], None],
        changed: Callable[[Sequence[Service]], None],
    ) -> None:
        self.services: list[Service] = []
        self.stopping = threading.Event()
        self._output = output
        self._say = say
        self._changed = changed

    def listen(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP mean: stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def add(self, service: Service) -> None:
        """Start the service and keep it running from now on.

        Raises:
            EmbeddedError: it does not start; what was started before goes on running.
        """
        self.services.append(service)
        self._start(service)

    def run(self) -> None:
        """Restart what ends until told to stop."""
        while not self.stopping.wait(_TICK):
            self.tend()

    def tend(self) -> None:
        """Look once after every service."""
        for service in self.services:
            if service.child is None:
                self._start_if_due(service)
            elif service.child.poll() is not None:
                self._note_end(service, service.child)

    def stop(self) -> None:
        """Stop everything, the highest stage first."""
        for stage in sorted({service.stage for service in self.services}, reverse=True):
            running = [one for one in self.services if one.stage == stage and one.child is not None]
            stop_all([(one.child, one.stop_signals) for one in running if one.child is not None])
        for service in self.services:
            service.child = None
            if service.output is not None:
                service.output.close()

    def _start(self, service: Service) -> None:
        if service.output is None:
            service.output = self._output(service.name)
        service.child = service.start(service.output)
        service.starts += 1
        service.started = time.monotonic()
        self._changed(self.services)

    def _note_end(self, service: Service, child: Child) -> None:
        stop_all([(child, ())])  # its own children, if it left any
        if time.monotonic() - service.started > _STEADY_SECONDS:
            service.failures = 0
        delay = min(_MAX_DELAY, 0.25 * 2**service.failures)
        service.child, service.due = None, time.monotonic() + delay
        service.failures += 1
        self._say(f"{service.name} ended ({_how(child.returncode)}); it starts again in {delay:g} s")

    def _start_if_due(self, service: Service) -> None:
        if time.monotonic() < service.due:
            return
        try:
            self._start(service)
        except EmbeddedError as error:
            service.due = time.monotonic() + min(_MAX_DELAY, 0.25 * 2**service.failures)
            service.failures += 1
            self._say(str(error))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.stopping.is_set():
            os.write(2, b"\nStopping ...\n")  # print may be in the middle of a line
        self.stopping.set()


def _how(returncode: int) -> str:
    if returncode < 0:
        return signal.Signals(-returncode).name
    return f"exit code {returncode}"
