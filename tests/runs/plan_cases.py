"""Planning in this process: a catalogue made by hand, and nothing is imported or run."""

from pathlib import Path

from metabench.hookspecs import AlgorithmInfo, EncoderInfo, MetricInfo, TaskSourceInfo
from metabench.registry.catalogue import Catalogue, Entry
from metabench.runs.plan import Knowledge, draft_cells, resolve
from metabench.runs.request import RunRequest
from metabench.runs.tasks import Place, Prepared

TARGET = "metabench.learners.builtin:Nothing"


def entries(*infos, plugin="toys", version="1.0"):
    return {info.name: Entry(info, plugin, version) for info in infos}


def source(name, **fields):
    values = {"domain": "toy", "modality": "vector", "suites": {"quick": {}}}
    return TaskSourceInfo(name=name, summary="a source", target=TARGET, **values | fields)


def encoder(name, **fields):
    values = {"modalities": ("vector",), "trainable": True, "suites": ("quick",)}
    return EncoderInfo(name=name, summary="an encoder", target=TARGET, **values | fields)


def algorithm(name, **fields):
    return AlgorithmInfo(name=name, summary="an algorithm", target=TARGET, **fields)


ACCURACY = MetricInfo(
    name="accuracy", summary="share", target=TARGET, task_kinds=("classification",), chance="1/way"
)


def catalogue(**changes):
    values = {
        "sources": entries(source("blobs"), source("far", domain="other", suites={})),
        "encoders": entries(encoder("linear"), encoder("plain", trainable=False)),
        "algorithms": entries(
            algorithm("chance", uses_encoder=False, recipe="none"),
            algorithm("maml", adapts_encoder=True),
            algorithm("protonet"),
        ),
        "metrics": entries(ACCURACY),
    }
    return Catalogue(**values | changes)


def place(**changes):
    values = {"store": Path("/nowhere"), "data": None, "device": "cpu", "precision": "fp32"}
    return Place(**values | changes)


PREPARED = Prepared(digest="s" * 64, sizes={"test": (20,) * 6})


def plan(request=None, known=None, where=None, found=None, **changes):
    """Return the planned cells by (source, encoder, algorithm, protocol, seed)."""
    found = found or catalogue(**changes)
    drafts = draft_cells(RunRequest(**request or {}), found)
    if known is None:
        known = Knowledge(
            sources={draft.source.name: PREPARED for draft in drafts},
            encoders={
                (draft.source.name, draft.encoder.name): Prepared(
                    digest="" if draft.encoder.info.trainable else "e" * 64
                )
                for draft in drafts
                if draft.encoder is not None
            },
        )
    cells = [resolve(draft, known, where or place()) for draft in drafts]
    named = {cell.task.cell.label: cell for cell in cells}
    assert len(named) == len(cells)
    return named
