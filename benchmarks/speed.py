"""Speed side by side with the same work written plainly, in one process and in alternation.

Run ``python benchmarks/speed.py [--threads 1]``. Ratios are medians over alternating rounds, so
that a machine whose speed drifts favours nobody; single times say little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from metabench.learners.contracts import InputSpec, Query, Support, TaskSpec
from metabench.learners.device import Compute
from metabench.learners.evaluation import evaluate
from metabench.learners.metrics import accuracy
from metabench.learners.model import Embedded, FewShotModel, Problem
from metabench.tasks.data import ClassPool
from metabench.tasks.sampler import EpisodeSampler
from metabench.tasks.sampling import Sampling
from metabench_algorithms.gradient.maml import MAML
from metabench_algorithms.metric.protonet import ProtoNet
from metabench_vision.encoders.conv4 import Conv4

WAY, SHOT, QUERY = 5, 5, 15
IMAGE = (1, 28, 28)
CPU = Compute(torch.device("cpu"))


class PlainConv4(nn.Module):
    """Conv4-64 as every tutorial writes it."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [
            nn.Sequential(
                nn.Conv2d(wide, 64, 3, padding=1),
                nn.BatchNorm2d(64),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for wide in (1, 64, 64, 64)
        ]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed ``[n, 1, 28, 28]``."""
        return self.blocks(pixels).flatten(1)


def alternate(rounds: int, **steps: Callable[[], object]) -> dict[str, list[float]]:
    """Time each step in turn, ``rounds`` times after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number:
                times[name].append(time.perf_counter() - started)
    return times


def show(title: str, times: dict[str, list[float]], reference: str) -> None:
    """Print the median time of each step and the median ratio to a reference."""
    print(title)
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(times[reference], seconds, strict=True))
        print(f"  {name:<24} {1000 * statistics.median(seconds):9.1f} ms   {ratio:5.2f} x")


def head_only(episodes: int = 20_000) -> None:
    """ProtoNet on embeddings at hand, sampling and scoring included."""
    classes, each, width = 200, 50, 64
    features = torch.randn(classes * each, width)
    members = tuple(np.arange(each) + each * c for c in range(classes))
    pool = ClassPool(tuple(map(str, range(classes))), members)
    sampler = EpisodeSampler(
        pool, Sampling(way=WAY, shot=SHOT, query=QUERY), source_digest="x", split="test", seed=0
    )
    learner = ProtoNet(TaskSpec("classification", WAY, width))
    model = FewShotModel(Embedded(width), learner, adapts_encoder=False)
    problem = Problem({"embedding": features}, CPU)
    evaluate(model, problem, sampler, 1000, accuracy)
    started = time.perf_counter()
    outcome = evaluate(model, problem, sampler, episodes, accuracy)
    seconds = time.perf_counter() - started
    print("ProtoNet head, 5-way 5-shot 15-query, embeddings at hand")
    print(f"  adapt and predict        {episodes / outcome.adapt_seconds:9.0f} episodes/s")
    print(f"  with sampling and scores {episodes / seconds:9.0f} episodes/s")


def protonet_training(rounds: int) -> None:
    """One optimiser step of ProtoNet on 100 images."""
    pixels = torch.randint(0, 256, (1, WAY * (SHOT + QUERY), *IMAGE), dtype=torch.uint8)
    support_y = torch.arange(WAY).repeat_interleave(SHOT)[None]
    query_y = torch.arange(WAY).repeat_interleave(QUERY)[None]
    plain = PlainConv4()
    plain_optimizer = torch.optim.Adam(plain.parameters())

    def plain_step() -> None:
        plain_optimizer.zero_grad()
        features = plain(pixels[0].float() / 255)
        support, query = features[: WAY * SHOT], features[WAY * SHOT :]
        prototypes = support.view(WAY, SHOT, -1).mean(1)
        logits = -((query[:, None] - prototypes[None]) ** 2).sum(-1)
        F.cross_entropy(logits, query_y[0]).backward()
        plain_optimizer.step()

    def step_in(compute: Compute) -> Callable[[], None]:
        encoder = Conv4(_spec()).to(memory_format=torch.channels_last)
        model = FewShotModel(
            encoder, ProtoNet(TaskSpec("classification", WAY, encoder.width)), adapts_encoder=False
        )
        optimizer = torch.optim.Adam(model.parameters())
        problem = Problem({"pixels": pixels[0]}, compute)
        index = torch.arange(len(pixels[0]))[None]

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            features = model.embed(problem, index.flatten())[None]
            support, query = features[:, : WAY * SHOT], features[:, WAY * SHOT :]
            model.algorithm.loss(Support(support, support_y, WAY), Query(query, query_y)).backward()
            optimizer.step()

        return step

    times = alternate(
        rounds,
        plain=plain_step,
        metabench_fp32=step_in(CPU),
        metabench_bf16=step_in(Compute(CPU.device, "bf16")),
    )
    show("ProtoNet training step, Conv4-64, 100 images of 28 x 28", times, "plain")


def maml_training(rounds: int) -> None:
    """One outer step of second-order MAML: 5-way 1-shot, 5 inner steps, meta-batch 4."""
    tasks, steps, rate = 4, 5, 0.1
    support_x = torch.randint(0, 256, (tasks, WAY, *IMAGE), dtype=torch.uint8)
    query_x = torch.randint(0, 256, (tasks, WAY * QUERY, *IMAGE), dtype=torch.uint8)
    support_y = torch.arange(WAY).expand(tasks, -1)
    query_y = torch.arange(WAY).repeat_interleave(QUERY).expand(tasks, -1)
    plain = nn.Sequential(PlainConv4(), nn.Linear(64, WAY))

    def plain_step() -> None:
        start = dict(plain.named_parameters())
        total = torch.zeros(())
        for task in range(tasks):
            fast = dict(start)
            for _ in range(steps):
                logits = functional_call(plain, fast, (support_x[task].float() / 255,))
                loss = F.cross_entropy(logits, support_y[task])
                found = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
                fast = {n: w - rate * g for (n, w), g in zip(fast.items(), found, strict=True)}
            logits = functional_call(plain, fast, (query_x[task].float() / 255,))
            total = total + F.cross_entropy(logits, query_y[task]) / tasks
        torch.autograd.grad(total, list(start.values()))

    encoder = Conv4(_spec()).to(memory_format=torch.channels_last)
    learner = MAML(
        TaskSpec("classification", WAY, encoder.width, encoder),
        MAML.Hyperparameters(inner_steps=steps, inner_lr=rate),
    ).train()

    def our_step() -> None:
        loss = learner.loss(
            Support({"pixels": support_x}, support_y, WAY), Query({"pixels": query_x}, query_y)
        )
        weights = [*encoder.parameters(), *learner.parameters()]
        torch.autograd.grad(loss, weights, allow_unused=True)

    times = alternate(rounds, plain=plain_step, metabench=our_step)
    show("Second-order MAML outer step, Conv4-64, 5 inner steps, meta-batch 4", times, "plain")


def _spec() -> InputSpec:
    return InputSpec("image", {"pixels": IMAGE}, {"pixels": torch.uint8})


def main() -> None:
    """Run every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads")
    head_only()
    protonet_training(options.rounds)
    maml_training(options.rounds)


if __name__ == "__main__":
    main()
