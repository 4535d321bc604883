"""Own data at size: how soon the first cell starts, and the peak memory of any process.

``python benchmarks/own_data.py images`` makes a folder of 10,000 images of mixed sizes and formats,
some of them damaged, and runs ``metabench run --data-folder`` on it; ``... texts`` makes a CSV of
1,000,000 rows and runs ``--data-table``. What is made is kept in ``--folder`` and used again.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 100
SIZES = ((96, 96), (320, 240), (640, 480), (800, 1000), (1600, 1200), (3000, 2000))
SHARES = (0.1, 0.2, 0.3, 0.2, 0.15, 0.05)
FORMATS = ("jpg", "jpg", "jpg", "jpg", "png", "png", "webp", "gif", "bmp", "tiff")
LARGEST_LOSSLESS = (800, 1000)
VOCABULARY = 20_000
INTENTS = 50
POLL_SECONDS = 0.1
FIRST_CELL = " to run, about "
"""What a run says when the first cell is handed to a worker."""


def make_images(folder: Path, count: int) -> None:
    """Write images: smooth random pictures, one damaged in a thousand."""
    rng = np.random.default_rng(0)
    for number in range(count):
        kind = FORMATS[rng.integers(len(FORMATS))]
        size = SIZES[rng.choice(len(SIZES), p=SHARES)]
        if kind in {"png", "webp", "gif", "bmp", "tiff"}:
            size = min(size, LARGEST_LOSSLESS)
        low = rng.integers(0, 256, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
        image = Image.fromarray(low).resize(size, Image.Resampling.BILINEAR)
        mode = rng.integers(10)
        if kind == "png" and mode < 3:
            image = image.convert(("L", "RGBA", "P")[mode])
        elif kind == "gif":
            image = image.convert("P")
        path = folder / f"class-{number % CLASSES:03d}" / f"{number:05d}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        written = io.BytesIO()
        image.save(written, {"jpg": "JPEG"}.get(kind, kind.upper()))
        whole = written.getvalue()
        path.write_bytes(whole if number % 997 else whole[: len(whole) // 2])


def make_texts(path: Path, count: int) -> None:
    """Write rows of 8 to 40 words; each class has words of its own among common ones."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{number:x}" for number in range(VOCABULARY)])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for start in range(0, count, 10_000):
            labels = rng.integers(0, INTENTS, 10_000)
            lengths = rng.integers(8, 41, 10_000)
            common = (VOCABULARY * rng.random((10_000, 40)) ** 3).astype(int)
            own = labels[:, None] * 40 + rng.integers(0, 40, (10_000, 40))
            drawn = np.where(rng.random((10_000, 40)) < 0.15, own, common)
            for row in range(min(10_000, count - start)):
                text = " ".join(words[drawn[row, : lengths[row]]])
                writer.writerow((text, f"intent-{labels[row]:02d}"))


def processes(root: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    pending = [root]
    while pending:
        pid = pending.pop()
        yield pid
        pending += parents.get(pid, [])


def watch(root: int, peaks: dict[int, int], spent: dict[int, float], done: threading.Event) -> None:
    """Note the largest resident size of each process, in kB, and the seconds that it computed."""
    ticks = os.sysconf("SC_CLK_TCK")
    while not done.wait(POLL_SECONDS):
        for pid in processes(root):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            spent[pid] = (int(fields[11]) + int(fields[12])) / ticks
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    peaks[pid] = max(peaks.get(pid, 0), int(line.split()[1]))


def measure(arguments: list[str]) -> None:
    """Run metabench and print when the first cell started, the whole time and the memory."""
    store = tempfile.mkdtemp(prefix="metabench-own-")
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "metabench", "run", *arguments, "--store", store],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    peaks: dict[int, int] = {}
    spent: dict[int, float] = {}
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, peaks, spent, done))
    watcher.start()
    first, computed = None, 0.0
    assert process.stderr is not None
    for line in process.stderr:
        print(f"{time.monotonic() - started:7.1f} s  {line.rstrip()}")
        if first is None and FIRST_CELL in line:
            first, computed = time.monotonic() - started, sum(spent.values())
    code = process.wait()
    done.set()
    watcher.join()
    shutil.rmtree(store)
    print(f"exit code {code}; first cell started after {first or float('nan'):.1f} s", end="")
    print(f" and {computed:.1f} s of computing, over all processes")
    print(f"whole run {time.monotonic() - started:.1f} s")
    print("peak memory of each process (MB):", sorted(p // 1024 for p in peaks.values())[::-1])


def main() -> None:
    """Make the data and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["images", "texts"])
    parser.add_argument("--items", type=int)
    parser.add_argument("--folder", type=Path, default=Path("own-data"))
    parser.add_argument("--encoders", default="")
    options = parser.parse_args()
    images = options.what == "images"
    count = options.items or (10_000 if images else 1_000_000)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / (f"images-{count}" if images else f"texts-{count}.csv")
    if not path.exists():
        (make_images if images else make_texts)(path, count)
    encoders = options.encoders or ("pixels" if images else "hashed-ngrams")
    where = ["--data-folder", path] if images else ["--data-table", path, "--text", "text"]
    where += [] if images else ["--label", "label"]
    choice = ["--encoders", encoders, "--algorithms", "simpleshot", "--episodes", "100"]
    measure([*map(str, where), *choice, "--jobs", "2"])


if __name__ == "__main__":
    main()
