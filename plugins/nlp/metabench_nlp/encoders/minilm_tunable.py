"""``minilm-tunable``: all-MiniLM-L6-v2 as an encoder whose every weight can be trained.

Model, weights and tokens are those of ``minilm``. Learners that adapt the encoder get token ids,
and gradients go through the whole transformer; slow on a CPU, so it is in no suite.
"""

from __future__ import annotations

from safetensors.torch import load_file

from metabench.learners.contracts import InputSpec
from metabench_nlp.encoders.minilm import FILES, MiniLM, find_folder


class MiniLMTunable(MiniLM):
    """The pretrained sentence encoder, to be trained further.

    Args:
        spec: What the inputs are.
        path: A folder with the model, as for ``minilm``.
    """

    def __init__(self, spec: InputSpec, path: str = "") -> None:
        super().__init__(spec, path)
        self._path = path
        self.requires_grad_(requires_grad=True)

    def reset_parameters(self) -> None:
        """Return to the pretrained weights."""
        weights = load_file(find_folder(self._path) / FILES[0])
        self.model.load_state_dict({name: weights[name] for name in self.model.state_dict()})
