"""Folders and tables as users have them, and what becomes of them."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from metabench.registry.targets import resolve_target
from metabench.runs.request import RunRequest
from metabench.runs.session import Session
from metabench.tasks.files import SourceContext

CITIES = ("Amman", "Bern", "Cairo", "Delhi", "Essen", "Fez", "Graz", "Hue", "Izmir", "Jena",
          "Kyoto", "Lima", "Minsk", "Nice", "Oslo", "Perth")  # fmt: skip


def look(**fields):
    """Plan a run on own data; nothing is decoded."""
    return Session.start(RunRequest(store=Path("nowhere"), **fields), only_read=True)


def described(**fields):
    session = look(**fields)
    return session.catalogue.source(session.own).info


def load(**fields):
    """Plan and decode."""
    info = described(**fields)
    return resolve_target(info.target)(SourceContext(info.name), **info.options)


def picture(path, seed, size=(12, 10), mode="RGB", **options):
    """Write an image of which there is no second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def photos(folder, classes=2, each=4, suffix=".png"):
    """Make a folder with a folder of images per class."""
    for number in range(classes):
        for image in range(each):
            picture(folder / CITIES[number] / f"{image}{suffix}", 100 * number + image)
    return folder


def table(path, rows, header=("text", "label"), separator=","):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def sentences(classes=2, each=4):
    """Rows of a text and a label, class after class."""
    return [
        (f"sentence {number} of {CITIES[number]} and {image} more", CITIES[number])
        for number in range(classes)
        for image in range(each)
    ]


def lines(path, rows):
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
