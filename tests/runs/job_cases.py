"""What workers are made to do in tests; imported by them by name."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from metabench.errors import UnavailableError


class OddError(Exception):
    """Cannot be unpickled: its constructor takes something else than it passes on."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class OddUnavailableError(UnavailableError):
    def __init__(self, one, *, two):
        super().__init__(f"{one} and {two}")


def pid(_):
    return os.getpid()


def main_module(_):
    return os.getpid(), getattr(sys.modules["__main__"], "__file__", None)


def note(path):
    with Path(path).open("a") as file:
        file.write(f"{time.time()}\n")
    time.sleep(0.3)
    with Path(path).open("a") as file:
        file.write(f"{time.time()}\n")


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_):
    os._exit(3)


def quit_politely(_):
    sys.exit("no more")


def hang(_):
    time.sleep(600)


def odd(_):
    raise OddError("this", "that")


def odd_unavailable(_):
    raise OddUnavailableError("this", two="that")


def time_out(_):
    raise TimeoutError("the network is slow")


def chatter(_):
    print("printed")
    subprocess.run(["echo", "echoed"], check=True)
    return "done"


def report_much(_, report):
    for number in range(3):
        report("train", number + 1, 3)
        time.sleep(0.4)
    return threading.active_count()


def unsendable(_):
    return threading.Lock()
