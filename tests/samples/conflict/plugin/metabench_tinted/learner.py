"""Learners that need version 2 of the palette."""

import os
import signal
import time

from metabench_sample_palette import mix

from metabench.learners.contracts import Algorithm, Encoder, class_means


class TintedMean(Algorithm):
    def adapt(self, support):
        means = mix(class_means(support))
        return lambda query: -((query.unsqueeze(2) - means.unsqueeze(1)) ** 2).sum(-1)


class Crash(Algorithm):
    def adapt(self, _support):
        os.kill(os.getpid(), signal.SIGKILL)


class Sleep(Algorithm):
    def adapt(self, _support):
        time.sleep(600)


class TintedFrozen(Encoder):
    def __init__(self, spec):
        super().__init__()
        (self.name,) = [name for name, shape in spec.shapes.items() if len(shape) == 1]
        (self.width,) = spec.shapes[self.name]

    def forward(self, inputs):
        return mix(inputs[self.name].float())
