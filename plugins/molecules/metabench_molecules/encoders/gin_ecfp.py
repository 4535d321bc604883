"""``gin+ecfp``: the graph network and the fingerprint together, through two small layers.

Stanley et al. (2021), appendix on prototypical networks: the embedding of FS-Mol's ProtoNet is the
concatenation of a graph network's readout and the count fingerprint, mapped by a linear layer, a
ReLU and another linear layer (1,024 and 512 units there; half of that here). The graph network is
smaller than `gin` alone: the fingerprint has told it the neighbourhoods already, and learners that
adapt the encoder pay for every unit many times. Counts enter as log(1 + count).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_molecules.encoders.ecfp import SIZE, Fingerprinter
from metabench_molecules.encoders.gin import GIN
from metabench_molecules.encoders.graphs import GraphBuilder
from metabench_molecules.smiles import molecules


class GINwithECFP(Encoder):
    """Readout and counts to one embedding.

    Args:
        spec: What the inputs are.
        hidden: Units of a layer of the graph network.
        layers: Its rounds of messages.
        max_atoms: Larger molecules are cut (see `GraphBuilder`); their counts are not.
        joint: Units of the layer over both.
        width: Length of an embedding.
    """

    def __init__(
        self,
        spec: InputSpec,
        *,
        hidden: int = 64,
        layers: int = 4,
        max_atoms: int = 128,
        joint: int = 512,
        width: int = 256,
    ) -> None:
        super().__init__()
        self.width = width
        self._max_atoms = max_atoms
        self.gin = GIN(spec, hidden=hidden, layers=layers, max_atoms=max_atoms)
        first = nn.Linear(self.gin.width + SIZE, joint)
        self.joint = nn.Sequential(first, nn.ReLU(), nn.Linear(joint, width))

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Compute the tensors of `GIN` and the ``counts`` of `ECFP`, parsing once."""
        del meta_train
        builder = GraphBuilder(self._max_atoms)
        fingerprint = Fingerprinter()
        counts = torch.empty(len(inputs["length"]), SIZE, dtype=torch.uint8)
        rows = counts.numpy()
        for row, molecule in enumerate(molecules(inputs)):
            builder.add(molecule)
            rows[row] = fingerprint(molecule)
        return {**builder.tensors(), "counts": counts}

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed prepared molecules ``[n, ...]`` as ``[n, width]``."""
        counts = inputs["counts"].float().log1p()
        embedded: Tensor = self.joint(torch.cat([self.gin(inputs), counts], dim=-1))
        return embedded
