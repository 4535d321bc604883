"""``gin``: a graph isomorphism network, trained from scratch.

Xu et al., "How powerful are graph neural networks?", ICLR 2019 (GIN-0: equation 4.1 with epsilon
0), with bond features added to the messages as in Hu et al., "Strategies for pre-training graph
neural networks", ICLR 2020 (appendix A)::

    h_v = MLP(h_v + sum over neighbours u of (h_u + embedding of the bond uv))

A sum over neighbours is a product with the adjacency matrix, and a sum over bonds one with the
counts of bond categories around an atom; so molecules of any size batch without a scatter, and
second derivatives exist.

Departures from the papers: layer norm instead of batch norm, so that an embedding depends on
nothing but its molecule; mean and scaled sum together as the readout; 128 units instead of 300,
which keeps a step on a CPU near a millisecond per molecule.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench_molecules.encoders.graphs import ATOM_CATEGORIES, BOND_CATEGORIES, GraphBuilder
from metabench_molecules.smiles import molecules

TOGETHER = 32
"""Molecules that are padded to the largest of them; a few large ones are in most batches."""
TYPICAL_ATOMS = 32.0
"""Divides the sum over atoms, so that it is of the order of the mean."""


class Layer(nn.Module):
    """One round of messages.

    Args:
        hidden: Units.
        last: Whether no ReLU follows.
    """

    def __init__(self, hidden: int, *, last: bool) -> None:
        super().__init__()
        self.bond = nn.Linear(BOND_CATEGORIES, hidden, bias=False)
        self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.norm = nn.LayerNorm(hidden)
        self._last = last

    def forward(self, h: Tensor, adjacency: Tensor, around: Tensor) -> Tensor:
        """Update ``h`` ``[n, A, hidden]``.

        Args:
            h: Atoms.
            adjacency: ``[n, A, A]``, 1 between neighbours.
            around: ``[n, A, categories]`` counts of bond categories at each atom.

        Returns:
            ``[n, A, hidden]``.
        """
        h = self.norm(self.mlp(h + adjacency @ h + self.bond(around)))
        return h if self._last else F.relu(h)


class GIN(Encoder):
    """Five rounds of messages, then mean and sum over the atoms.

    Args:
        spec: What the inputs are.
        hidden: Units of a layer; an embedding has twice as many.
        layers: Rounds of messages.
        max_atoms: Larger molecules are cut (see `GraphBuilder`); 99.9 % of FS-Mol have at most 64
            atoms.
    """

    def __init__(
        self, spec: InputSpec, *, hidden: int = 128, layers: int = 5, max_atoms: int = 128
    ) -> None:
        super().__init__()
        del spec
        self.width = 2 * hidden
        self._max_atoms = max_atoms
        self.atom = nn.Linear(ATOM_CATEGORIES, hidden, bias=False)
        self.layers = nn.ModuleList(Layer(hidden, last=i == layers - 1) for i in range(layers))

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Build ``atoms``, ``ends``, ``bonds`` and ``size``, as the module ``graphs`` says."""
        del meta_train
        builder = GraphBuilder(self._max_atoms)
        for molecule in molecules(inputs):
            builder.add(molecule)
        return builder.tensors()

    def forward(self, inputs: Inputs) -> Tensor:
        """Embed graphs ``[n, ...]`` as ``[n, 2 * hidden]``, those of like size together."""
        graphs = {name: inputs[name] for name in ("atoms", "ends", "bonds", "size")}
        if len(graphs["size"]) <= TOGETHER:
            return self._embed(graphs)
        order = graphs["size"][:, 0].argsort(stable=True)
        parts = [
            self._embed({name: tensor[some] for name, tensor in graphs.items()})
            for some in order.split(TOGETHER)
        ]
        return torch.cat(parts)[order.argsort()]

    def _embed(self, inputs: Inputs) -> Tensor:
        atoms, ends, bonds, size = (inputs[name] for name in ("atoms", "ends", "bonds", "size"))
        largest, most = _largest(size, atoms, ends)
        dtype = self.atom.weight.dtype
        atoms, ends, bonds = atoms[:, :largest], ends[:, :most], bonds[:, :most]
        position = torch.arange(largest, device=atoms.device)
        at = (ends.unsqueeze(-1) == position).to(dtype)  # [n, E, 2, A]
        one_way = at[:, :, 0].mT @ at[:, :, 1]
        adjacency = one_way + one_way.mT
        around = at.sum(2).mT @ _several_hot(bonds, BOND_CATEGORIES, dtype)
        h = self.atom(_several_hot(atoms, ATOM_CATEGORIES, dtype))
        for layer in self.layers:
            h = layer(h, adjacency, around)
        real = (position < size[:, :1]).unsqueeze(-1)
        total = h.masked_fill(~real, 0).sum(1)
        return torch.cat([total / size[:, :1].clamp_min(1), total / TYPICAL_ATOMS], dim=-1)


def _several_hot(categories: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """``[..., features]`` categories to ``[..., count]`` ones; padding, 0, is left out."""
    shape = (*categories.shape[:-1], count)
    hot = torch.zeros(shape, dtype=dtype, device=categories.device)
    hot = hot.scatter(-1, categories.long(), 1)
    return hot * (torch.arange(count, device=hot.device) > 0)


def _largest(size: Tensor, atoms: Tensor, ends: Tensor) -> tuple[int, int]:
    """Return how many atoms and bonds the largest molecule of the batch has."""
    try:
        largest, most = (max(1, int(count)) for count in size.amax(0))
    except (RuntimeError, IndexError):  # under vmap, and in an empty batch, a size is no number
        return atoms.shape[1], ends.shape[1]
    return largest, most
