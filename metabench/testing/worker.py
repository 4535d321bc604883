"""Carrying out one audit, in a worker process."""

from __future__ import annotations

from datetime import UTC, datetime

import torch

from metabench.leaderboard.audits import Audit, write_audit
from metabench.runs.outcomes import provenance
from metabench.runs.tasks import CellTask
from metabench.runs.worker import Report, make_ready
from metabench.testing.checks import run_checks
from metabench.testing.subject import Subject


def audit_cell(task: CellTask, report: Report) -> Audit:
    """Train a cell's model, or find its weights, examine it, and keep what was found.

    Args:
        task: The cell.
        report: Called with the stage (``train`` or ``audit``), what is done and the total.

    Returns:
        The audit as written.

    Raises:
        MetabenchError: If the model cannot be made ready, or the audit not be written.
    """
    started = datetime.now(UTC)
    built = make_ready(task, report).built
    info, cell = task.algorithm.info, task.cell
    subject = Subject(
        built.model, built.problem, built.sampler, task.source.info.task_kind, info.inductive
    )
    findings = run_checks(subject, report=lambda done, total: report("audit", done, total))
    audit = Audit(
        algorithm=task.key_parts["algorithm"],
        source=cell.source,
        source_digest=task.source_digest,
        task_kind=cell.task_kind,
        encoder=cell.encoder,
        protocol=cell.protocol,
        protocol_digest=cell.protocol_digest,
        seed=cell.seed,
        plugin=cell.plugin,
        plugin_version=cell.plugin_version,
        findings=findings,
        provenance=provenance(
            task,
            started,
            threads=torch.get_num_threads(),
            device=str(built.problem.compute.device),
        ),
    )
    write_audit(task.place.store, audit)
    return audit
