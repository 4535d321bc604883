"""SNAIL: temporal convolutions and causal attention over the support."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from metabench.errors import UsageError
from metabench.learners.contracts import (
    Algorithm,
    Hyperparameters,
    Predictor,
    Query,
    Support,
    TaskSpec,
    bounded,
    one_hot,
    task_loss,
)
from metabench_algorithms.memory.blocks import AttentionBlock, Block, DenseBlock

ATTENTION = ((64, 32), (256, 128), (512, 256))  # keys and values
AT_ONCE = 2**13  # queries in one pass


@dataclass(frozen=True, kw_only=True)
class SNAILHyperparameters(Hyperparameters):
    """Settings of the network of Mishra et al. (2018), appendix on few-shot classification.

    Attributes:
        filters: Channels that each dense block appends (128).
        length: Steps that the temporal convolutions cover. They take the length of an episode,
            ``way * shot + 1``; 32 serves 5-way 1-shot and 5-shot with the same weights.
        widest: Embeddings wider than this are first mapped to it by a learned linear map. Theirs
            are 64 wide on Omniglot, 384 on miniImageNet.
    """

    filters: int = bounded(128, least=1)
    length: int = bounded(32, least=2)
    widest: int = bounded(384, least=1)


class SNAIL(Algorithm[Tensor]):
    """A causal network reads the labelled support, then the query, and names its class.

    Mishra, Rohaninejad, Chen & Abbeel (2018), "A simple neural attentive meta-learner",
    arXiv:1707.03141. Each step is an embedding joined to its one-hot label (zeros for the query).
    Attention blocks of 64/32, 256/128 and 512/256 keys/values alternate with two blocks of temporal
    convolutions; a linear map of the query's step gives the logits, and only this step is scored.

    Dilations are 1, 2, 4, ...: the text has them double until they cover the sequence, and from 2
    on, as in the pseudo-code, odd distances would never be seen. Classes are numbered at random and
    examples shuffled in each training episode; the two classes of binary tasks mean something and
    keep their numbers.
    """

    Hyperparameters = SNAILHyperparameters
    label_equivariant = False
    support_order_free = False

    def __init__(self, task: TaskSpec, hyper: SNAILHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        if self.hyper.train_way not in (None, task.way):
            raise UsageError(
                f"train_way={self.hyper.train_way} but the test episodes are {task.way}-way; snail "
                f"has one output per class, so leave train_way out or set it to {task.way}"
            )
        narrow = task.width > self.hyper.widest
        width = self.hyper.widest if narrow else task.width
        self.narrow = nn.Linear(task.width, width) if narrow else nn.Identity()
        dilations = [2**level for level in range(math.ceil(math.log2(self.hyper.length)))]
        blocks: list[Block] = []
        width += task.way
        for keys, values in ATTENTION:
            for dilation in dilations if blocks else ():
                blocks.append(DenseBlock(width, dilation, self.hyper.filters))
                width = blocks[-1].out_features
            blocks.append(AttentionBlock(width, keys, values))
            width = blocks[-1].out_features
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(width, task.way)

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Read the support: ``[B, Q, d] -> [B, Q, way]`` logits."""
        if support.way > self.task.way:
            raise UsageError(f"a {support.way}-way episode for {self.task.way} outputs of snail")
        labels = one_hot(support.y, self.task.way, support.x.dtype)
        steps, memories = torch.cat([self.narrow(support.x), labels], -1), []
        blocks = [cast("Block", block) for block in self.blocks]
        for block in blocks:
            steps, memory = block.read(steps)
            memories.append(memory)

        def ask(query: Tensor) -> Tensor:
            step = nn.functional.pad(self.narrow(query), (0, self.task.way))
            for block, memory in zip(blocks, memories, strict=True):
                step = block.ask(step, memory)
            return torch.as_tensor(self.head(step))[..., : support.way]

        def predict(query: Tensor) -> Tensor:
            parts = torch.split(query, max(1, AT_ONCE // len(query)), 1)
            return torch.cat([ask(part) for part in parts], 1)

        return predict

    def loss(self, support: Support[Tensor], query: Query[Tensor]) -> Tensor:
        """Cross-entropy of the queries, with support and classes in random order."""
        order = torch.rand(support.y.shape, device=support.y.device).argsort(-1)
        rows = torch.arange(len(order), device=order.device).unsqueeze(1)
        support = replace(support, x=support.x[rows, order], y=support.y[rows, order])
        asked = query.y
        if self.task.kind == "classification":
            names = torch.rand(len(order), support.way, device=order.device).argsort(-1)
            support = replace(support, y=names.gather(1, support.y))
            asked = names.gather(1, asked)
        return task_loss(self.adapt(support)(query.x), asked)
