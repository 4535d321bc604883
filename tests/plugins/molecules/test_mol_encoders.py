"""The encoders, against references and under transformations that must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem, Crippen, rdMolDescriptors

from metabench.learners.contracts import InputSpec
from metabench_molecules.encoders import descriptors, graphs
from metabench_molecules.encoders.descriptors import NAMES, RDKitDescriptors
from metabench_molecules.encoders.ecfp import ECFP
from metabench_molecules.encoders.gin import GIN, TOGETHER, TYPICAL_ATOMS
from metabench_molecules.encoders.gin_ecfp import GINwithECFP
from metabench_molecules.encoders.graphs import ATOM_CATEGORIES, BOND_CATEGORIES, GraphBuilder
from metabench_molecules.smiles import pack

SMILES = [
    "C",
    "[Na+]",
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "F/C=C/F",
    "F/C=C\\F",
    "C[C@H](N)C(=O)O",
    "C[C@@H](N)C(=O)O",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "O=[N+]([O-])c1ccc(Cl)cc1",
    "C#N",
]
NOBODY = torch.empty(0, dtype=torch.int64)
EVERYBODY = torch.arange(len(SMILES))
ALL = [ECFP, RDKitDescriptors, GIN, GINwithECFP]


def build(kind, inputs, **options):
    torch.manual_seed(0)
    return kind(InputSpec.of("molecule", inputs), **options).eval()


def embed(kind, smiles, **options):
    inputs = pack(smiles)
    encoder = build(kind, inputs, **options)
    with torch.no_grad():
        return encoder(encoder.prepare(inputs, NOBODY))


@pytest.mark.parametrize("kind", ALL)
def test_shapes_and_an_empty_batch(kind):
    inputs = pack(SMILES)
    encoder = build(kind, inputs)
    prepared = encoder.prepare(inputs, EVERYBODY)
    assert all(len(tensor) == len(SMILES) for tensor in prepared.values())
    with torch.no_grad():
        found = encoder(prepared)
        nothing = encoder({name: tensor[:0] for name, tensor in prepared.items()})
    assert found.shape == (len(SMILES), encoder.width)
    assert torch.isfinite(found.float()).all()
    assert nothing.shape == (0, encoder.width)


@pytest.mark.parametrize("kind", ALL)
def test_an_embedding_depends_on_its_molecule_alone(kind):
    together = embed(kind, SMILES)
    for row, smiles in enumerate(SMILES):
        alone = embed(kind, [smiles])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_the_order_of_the_atoms_does_not_matter(kind):
    seeds = (1, 2, 3)
    molecules = [Chem.MolFromSmiles(s) for s in SMILES[2:]]
    expected = embed(kind, SMILES[2:]).float()
    for seed in seeds:
        other = [Chem.MolToRandomSmilesVect(m, 1, randomSeed=seed)[0] for m in molecules]
        assert other != SMILES[2:]
        # MQN and connectivity sums are not all of one order: leave room for rounding.
        if kind in (GIN, GINwithECFP):
            other, truth = _without_stereo(other, expected)
        else:
            truth = expected
        torch.testing.assert_close(embed(kind, other).float(), truth, rtol=1e-4, atol=1e-4)


def _without_stereo(smiles, expected):
    """Chiral tags depend on the order of neighbours; other molecules must agree."""
    kept = [i for i, s in enumerate(smiles) if "@" not in s]
    # Rows whose molecule has a chiral tag are tested on their own, through canonical SMILES.
    return [smiles[i] for i in kept], expected[kept]


def test_ecfp_is_the_morgan_count_fingerprint():
    found = embed(ECFP, SMILES)
    assert found.dtype == torch.uint8
    for row, smiles in enumerate(SMILES):
        # The older interface of RDKit, through its own hashing.
        reference = AllChem.GetHashedMorganFingerprint(Chem.MolFromSmiles(smiles), 2, nBits=2048)
        counts = np.zeros(2048, dtype=np.int64)
        DataStructs.ConvertToNumpyArray(reference, counts)
        assert found[row].tolist() == counts.tolist()
    assert embed(ECFP, ["C" * 400])[0].max() == 255


def test_descriptors_are_rdkit_s():
    values = descriptors.describe(pack(SMILES))
    assert values.shape == (len(SMILES), len(NAMES))
    assert len(set(NAMES)) == len(NAMES)
    for row, smiles in enumerate(SMILES):
        molecule = Chem.MolFromSmiles(smiles)
        for name, function in (
            ("exactmw", rdMolDescriptors.CalcExactMolWt),
            ("CrippenClogP", Crippen.MolLogP),
            ("tpsa", rdMolDescriptors.CalcTPSA),
            ("MQN12", lambda m: m.GetNumHeavyAtoms()),
        ):
            assert values[row, NAMES.index(name)] == pytest.approx(function(molecule)), name
        parts = rdMolDescriptors.SMR_VSA_(molecule)
        assert values[row, NAMES.index("SMR_VSA1")] == pytest.approx(parts[0])


def test_descriptors_are_standardised_on_meta_train_only():
    inputs = pack(SMILES)
    encoder = build(RDKitDescriptors, inputs, clip=1e6)
    train = torch.arange(2, 9)
    found = encoder.prepare(inputs, train)["descriptors"]
    raw = descriptors.describe(inputs)
    column = NAMES.index("exactmw")
    fitted = raw[train.numpy(), column]
    expected = (raw[:, column] - fitted.mean()) / fitted.std()
    np.testing.assert_allclose(found[:, column], expected, rtol=1e-5)
    varies = np.ptp(raw[train.numpy()], axis=0) > 1e-6
    np.testing.assert_allclose(found[train].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(found[train].std(0, correction=0)[varies], 1, rtol=1e-4)
    assert (found[:, ~varies] == 0).all()
    assert found.dtype == torch.float32


def test_a_value_that_is_not_finite_is_the_mean(monkeypatch):
    values = np.random.default_rng(0).normal(size=(6, len(NAMES)))
    values[0, 0] = np.nan
    values[5, 1] = np.inf
    monkeypatch.setattr(descriptors, "describe", lambda _: values.copy())
    inputs = pack(["C"] * 6)
    encoder = build(RDKitDescriptors, inputs)
    found = encoder.prepare(inputs, torch.arange(4))["descriptors"]
    assert found[0, 0] == 0
    assert found[5, 1] == 0
    assert torch.isfinite(found).all()
    assert found.abs().max() <= 5
    expected = (values[4, 0] - values[1:4, 0].mean()) / values[1:4, 0].std()
    assert found[4, 0] == pytest.approx(np.clip(expected, -5, 5), rel=1e-5)


def test_graphs_hold_every_atom_and_bond():
    builder = GraphBuilder(100)
    molecules = [Chem.MolFromSmiles(s) for s in SMILES]
    for molecule in molecules:
        builder.add(molecule)
    found = builder.tensors()
    for row, molecule in enumerate(molecules):
        atoms, bonds = molecule.GetNumAtoms(), molecule.GetNumBonds()
        assert found["size"][row].tolist() == [atoms, bonds]
        assert (found["atoms"][row, :atoms] > 0).all()
        assert (found["atoms"][row, atoms:] == 0).all()
        assert (found["ends"][row, bonds:] == graphs.NO_ATOM).all()
        ends = {tuple(sorted(pair)) for pair in found["ends"][row, :bonds].tolist()}
        assert ends == {
            tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in molecule.GetBonds()
        }
    assert found["atoms"].max() < ATOM_CATEGORIES
    assert found["bonds"].max() < BOND_CATEGORIES
    assert all(found[name].dtype == torch.uint8 for name in ("atoms", "ends", "bonds"))


def test_a_large_molecule_is_cut():
    inputs = pack(["C" * 300, "CO"])
    prepared = build(GIN, inputs).prepare(inputs, NOBODY)
    assert prepared["size"].tolist() == [[128, 127], [2, 1]]
    torch.testing.assert_close(embed(GIN, ["C" * 300])[0], embed(GIN, ["C" * 299])[0])
    for size in (0, 255):
        with pytest.raises(ValueError, match="max_atoms"):
            GraphBuilder(size)


def reference(encoder, molecule):
    """Equation of the module, atom by atom, on one molecule without padding."""
    builder = GraphBuilder(200)
    builder.add(molecule)
    graph = builder.tensors()
    h = [sum(encoder.atom.weight[:, c] for c in a) for a in graph["atoms"][0].tolist()]
    for number, layer in enumerate(encoder.layers):
        sums = list(h)
        for (u, v), kinds in zip(
            graph["ends"][0, : molecule.GetNumBonds()].tolist(),
            graph["bonds"][0].tolist(),
            strict=False,
        ):
            bond = sum(layer.bond.weight[:, c] for c in kinds)
            sums[u] = sums[u] + h[v] + bond
            sums[v] = sums[v] + h[u] + bond
        h = [layer.norm(layer.mlp(s)) for s in sums]
        if number < len(encoder.layers) - 1:
            h = [torch.relu(x) for x in h]
    stacked = torch.stack(h)
    return torch.cat([stacked.mean(0), stacked.sum(0) / TYPICAL_ATOMS])


def test_gin_equals_a_loop_over_atoms_without_padding():
    inputs = pack(SMILES)
    encoder = build(GIN, inputs)
    with torch.no_grad():
        found = encoder(encoder.prepare(inputs, NOBODY))
        for row, smiles in enumerate(SMILES):
            truth = reference(encoder, Chem.MolFromSmiles(smiles))
            torch.testing.assert_close(found[row], truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [GIN, GINwithECFP])
def test_molecules_of_like_size_are_padded_together_and_come_back_in_order(kind):
    many = [SMILES[n % len(SMILES)] for n in range(3 * TOGETHER + 5)]
    alone = embed(kind, SMILES)
    expected = alone[torch.arange(len(many)) % len(SMILES)]
    torch.testing.assert_close(embed(kind, many), expected, rtol=1e-4, atol=1e-5)


def test_gin_tells_stereoisomers_and_bond_orders_apart():
    pairs = [("F/C=C/F", "F/C=C\\F"), ("CC", "C=C"), ("C[C@H](N)CC", "C[C@@H](N)CC")]
    for first, second in pairs:
        one, other = embed(GIN, [first, second])
        assert (one - other).abs().max() > 1e-3


def test_gin_ecfp_uses_both():
    inputs = pack(SMILES)
    encoder = build(GINwithECFP, inputs)
    prepared = encoder.prepare(inputs, NOBODY)
    graph = build(GIN, inputs).prepare(inputs, NOBODY)
    assert all(torch.equal(prepared[name], graph[name]) for name in graph)
    assert torch.equal(prepared["counts"], embed(ECFP, SMILES))
    with torch.no_grad():
        before = encoder(prepared)
        for name, other in (("counts", prepared["counts"] + 1), ("atoms", graph["atoms"].flip(0))):
            assert not torch.allclose(before, encoder({**prepared, name: other}))


@pytest.mark.parametrize("kind", [GIN, GINwithECFP])
def test_every_weight_gets_a_gradient_and_second_derivatives_exist(kind):
    inputs = pack(SMILES)
    encoder = build(kind, inputs, hidden=16, layers=2).train()
    prepared = encoder.prepare(inputs, NOBODY)
    weights = list(encoder.parameters())
    first = torch.autograd.grad(encoder(prepared).square().mean(), weights, create_graph=True)
    assert all(g.abs().sum() > 0 for g in first)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), weights, allow_unused=True)
    assert any(g is not None and g.abs().sum() > 0 for g in second)


def test_gin_works_under_vmap():
    inputs = pack(SMILES)
    encoder = build(GIN, inputs, hidden=16, layers=2)
    prepared = encoder.prepare(inputs, NOBODY)
    batches = {name: torch.stack([t, t.flip(0)]) for name, t in prepared.items()}
    with torch.no_grad():
        mapped = torch.func.vmap(encoder)(batches)
        expected = encoder(prepared)
    torch.testing.assert_close(mapped[0], expected)
    torch.testing.assert_close(mapped[1], expected.flip(0))


def test_graphs_of_no_molecules():
    found = GraphBuilder(10).tensors()
    assert {name: tuple(t.shape) for name, t in found.items()} == {
        "atoms": (0, 1, 8),
        "ends": (0, 1, 2),
        "bonds": (0, 1, 4),
        "size": (0, 2),
    }
