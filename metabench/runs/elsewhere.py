"""Workers in another interpreter: how they are started, and what they check before a cell.

They take the same jobs over the same kind of pipe as the workers of this interpreter, and write to
the same store. That both sides have the same metabench was checked when the plugin was asked for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Any

from metabench.errors import UnavailableError
from metabench.registry.home import HERE, Environment
from metabench.runs.tasks import CellTask, Part


class ProcessElsewhere:
    """A worker process of another interpreter, in the manner of `multiprocessing.Process`.

    Args:
        environment: The interpreter.
        connection: The worker's end of its pipe.
        threads: Threads for tensor arithmetic.
        progress_folder: Where it leaves its reports.
    """

    def __init__(
        self, environment: Environment, connection: Connection, threads: int, progress_folder: str
    ) -> None:
        end = connection.fileno()
        words = (end, threads, os.getpid(), progress_folder)
        self._process = subprocess.Popen(  # noqa: S603 - the user's own interpreter
            [environment.executable, "-P", "-m", __name__, *map(str, words)],
            stdin=subprocess.DEVNULL,
            pass_fds=(end,),
            env=environment.variables(),
        )

    @property
    def exitcode(self) -> int | None:
        """How it ended: a code, or minus a signal; ``None`` while it runs."""
        return self._process.poll()

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)


def check_parts(task: CellTask) -> None:
    """Check that what a cell takes from the planning interpreter is the same in this one.

    Args:
        task: A cell that runs in another interpreter than the one that planned it.

    Raises:
        UnavailableError: If a part is missing here, or other than in the cell's key.
    """
    parts: list[Part[Any]] = [task.algorithm, task.metric, *task.other_metrics]
    if task.trainable and task.encoder is not None:
        parts.append(task.encoder)
    for part in parts:
        if part.environment is None and HERE.code(part.info.target) != part.code:
            found = "is not installed" if not HERE.code(part.info.target) else "is another version"
            raise UnavailableError(
                f"{part.name} of {part.distribution} {part.version} {found} in {task.environment}",
                f"run `{sys.executable} -m pip install {part.distribution}=={part.version}`",
            )


def _main() -> None:
    """Be a worker: ``python -m metabench.runs.elsewhere END THREADS PARENT FOLDER``."""
    from metabench.runs.local import serve  # noqa: PLC0415 - that module starts such processes

    end, threads, parent, folder = sys.argv[1:]
    os.set_inheritable(int(end), False)
    serve(Connection(int(end)), int(threads), int(parent), folder)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _main()
