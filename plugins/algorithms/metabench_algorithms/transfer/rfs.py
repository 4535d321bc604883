"""RFS: logistic regression on the embeddings of an encoder that has learned from itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.errors import InapplicableError
from metabench.learners.recipes import Setting
from metabench.learners.supervised import ClassRecipe
from metabench.tasks.data import ClassPool
from metabench_algorithms.closed_form.logistic_probe import LogisticProbe

TEMPERATURE = 4.0
SHARE = 0.5
"""Of the divergence in the loss; the rest is cross-entropy."""
HEAD_STEPS = 200
HEAD_BATCH = 512
HEAD_RATE = 0.01


class RFS(LogisticProbe):
    """Logistic regression on normalised embeddings of a self-distilled encoder.

    Tian, Wang, Krishnan, Tenenbaum & Isola (2020), "Rethinking few-shot image classification: a
    good embedding is all you need?", arXiv:2003.11539, sections 3.2 and 3.3. `LogisticProbe` is the
    same without distillation, their "simple" learner.
    """


class DistillRecipe(ClassRecipe):
    """One generation of self-distillation, after a supervised stage.

    Tian et al. (2020), section 3.3: a student of the teacher's architecture, initialised anew,
    minimises ``a CE + b KL(teacher, student)``; as released, ``a = b = 0.5``, at temperature 4 and
    with the divergence times the temperature squared.

    Departures: teacher and student have half a budget each, so that the whole is that of other
    learners; the teacher's output layer, which the supervised stage does not keep, is fitted anew
    to its embeddings of the meta-train examples, and after a short stage is the better of the two;
    the teacher embeds every example once, in evaluation mode. An encoder that has a method
    ``reset_parameters`` is initialised by it, any other layer by layer: one that comes with weights
    can return to them.
    """

    def __init__(self, setting: Setting) -> None:
        pool = setting.data.splits["train"]
        if not isinstance(pool, ClassPool):
            raise InapplicableError("self-distillation needs meta-train classes, not tasks")
        super().__init__(setting, pool)
        setting.model.eval()
        features = setting.model.embed_all(setting.problem, self._items).clone()
        self._soft = self._teach(features - features.mean(0))
        reset(setting.model.encoder)

    def loss(self, step: int) -> Tensor:
        """Cross-entropy and divergence from the teacher on a batch drawn with replacement."""
        numbers = self._generator(step).integers(len(self._items), size=self._options.batch)
        drawn = self.setting.problem.index(numbers)
        features = self.setting.model.embed(self.setting.problem, self._items[drawn])
        outputs = self._trained["head"](features)
        divergence = F.kl_div(
            F.log_softmax(outputs / TEMPERATURE, -1), self._soft[drawn], reduction="batchmean"
        )
        fit = F.cross_entropy(outputs, self._labels[drawn])
        return (1 - SHARE) * fit + SHARE * TEMPERATURE**2 * divergence

    def describe(self) -> dict[str, object]:
        """Number of classes, the batch and the temperature."""
        return {**super().describe(), "temperature": TEMPERATURE}

    def _teach(self, features: Tensor) -> Tensor:
        """Fit an output layer to ``[n, d]`` centred embeddings; return softened probabilities."""
        features = features / features.square().mean().sqrt().clamp_min(1e-12)
        head = nn.Linear(features.shape[1], self._classes).to(features.device)
        optimizer = torch.optim.Adam(head.parameters(), HEAD_RATE)
        generator = torch.Generator().manual_seed(self.setting.seed)
        for _ in range(HEAD_STEPS):
            batch = torch.randint(len(features), (HEAD_BATCH,), generator=generator)
            batch = batch.to(features.device)
            smoothing = self._options.label_smoothing
            optimizer.zero_grad()
            torch.autograd.backward(
                F.cross_entropy(
                    head(features[batch]), self._labels[batch], label_smoothing=smoothing
                )
            )
            optimizer.step()
        with torch.no_grad():
            return F.softmax(head(features) / TEMPERATURE, -1)


def reset(module: nn.Module) -> None:
    """Initialise a module by its own ``reset_parameters``, or else each of its parts."""
    if callable(own := getattr(module, "reset_parameters", None)):
        own()
        return
    for part in module.children():
        reset(part)
