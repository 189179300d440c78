"""What a run shows and writes down while it goes: progress, log, TensorBoard."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

__all__ = ["Display", "Line", "display"]

LOG_NAME = "log.jsonl"


@dataclass(frozen=True)
class Line:
    """One step, as the log holds it.

    Attributes:
        step: number of steps done.
        loss: mean over the step's pictures.
        rate: learning rate.
        seconds: the step took, waiting for data included.
        waited: seconds of it spent waiting for data.
    """

    step: int
    loss: float
    rate: float
    seconds: float
    waited: float


class Display(Protocol):
    """Where lines, pictures and words go."""

    def line(self, line: Line) -> None:
        """A step is done."""

    def picture(self, step: int, grid: Image.Image) -> None:
        """Validation pictures were drawn."""

    def say(self, text: str) -> None:
        """A sentence for people."""


class _Silent:
    """For the processes of other GPUs."""

    def line(self, line: Line) -> None: ...

    def picture(self, step: int, grid: Image.Image) -> None: ...

    def say(self, text: str) -> None: ...


class _Shown:
    """Log file, TensorBoard and a progress bar, or lines on stderr where there is no terminal."""

    def __init__(self, folder: Path, board: Any, progress: Any, steps: int, every: int) -> None:
        self._log = (folder / LOG_NAME).open("a")
        self._folder = folder
        self._board = board
        self._progress = progress
        self._task = None if progress is None else progress.add_task("training", total=steps, loss="")
        self._steps, self._every = steps, every
        self._recent: list[Line] = []

    def line(self, line: Line) -> None:
        self._log.write(json.dumps(asdict(line)) + "\n")
        self._recent.append(line)
        due = line.step % self._every == 0 or line.step == self._steps
        if due:
            self._log.flush()
        self._show(line, due=due)

    def _show(self, line: Line, *, due: bool) -> None:
        loss = sum(one.loss for one in self._recent) / len(self._recent)
        if self._progress is not None:
            self._progress.update(self._task, completed=line.step, loss=f"loss {loss:.4f}")
        if not due:
            return
        seconds = sum(one.seconds for one in self._recent) / len(self._recent)
        waited = sum(one.waited for one in self._recent) / len(self._recent)
        if self._progress is None:
            sys.stderr.write(f"step {line.step}/{self._steps}  loss {loss:.4f}  {seconds:.3f} s a step\n")
        values = {
            "loss": loss,
            "rate": line.rate,
            "seconds a step": seconds,
            "share waiting for data": waited / seconds,
        }
        for name, value in values.items():
            self._board.add_scalar(name, value, line.step)
        self._recent = []

    def picture(self, step: int, grid: Image.Image) -> None:
        import numpy as np

        folder = self._folder / "samples"
        folder.mkdir(exist_ok=True)
        grid.save(folder / f"step-{step:08d}.png")
        self._board.add_image("samples", np.asarray(grid), step, dataformats="HWC")

    def say(self, text: str) -> None:
        if self._progress is None:
            sys.stderr.write(f"{text}\n")
        else:
            self._progress.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        self._log.close()
        self._board.close()


@contextmanager
def display(folder: Path, *, steps: int, done: int, every: int, shown: bool) -> Iterator[Display]:
    """Open what a run writes down in `folder`; what a killed run wrote after step `done` is taken back."""
    if not shown:
        yield _Silent()
        return
    from torch.utils.tensorboard import SummaryWriter

    _cut_log(folder / LOG_NAME, done)
    with ExitStack() as stack:
        progress = stack.enter_context(_progress()) if sys.stderr.isatty() else None
        board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        made = _Shown(folder, board, progress, steps, every)
        stack.callback(made.close)
        if progress is not None:
            progress.update(progress.task_ids[0], completed=done)
        yield made


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: Sequence[Any] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def _cut_log(path: Path, done: int) -> None:
    if not path.exists():
        return
    kept = [line for line in path.read_text().splitlines() if _step_of(line) in range(1, done + 1)]
    path.write_text("".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except ValueError:
        # The last line of a run that was killed while it wrote.
        return -1
