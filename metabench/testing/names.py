"""The checks by name, for each kind of thing that a plugin provides. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from metabench.errors import unknown_name

Subject = Literal["plugin", "source", "encoder", "algorithm"]
"""What is examined: a plugin as a whole, or one thing that it provides."""

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "query-independence": "a query's scores do not depend on the other queries",
        "label-permutation": "renaming the classes renames the scores",
        "support-permutation": "the order of the support examples has no effect",
        "determinism": "the same episodes give the same bits",
        "unchanged-weights": "adaptation leaves all parameters and buffers as they are",
        "task-independence": "an episode's scores do not depend on other episodes",
        "degenerate-support": "scores are finite on degenerate supports",
        "hidden-targets": "the targets of the queries do not reach the algorithm",
    }
)
"""What each check of an algorithm's behaviour establishes, in the order of the audit's table."""

BALANCED, UNBALANCED = "balanced-queries", "unbalanced-queries"
MEASURED = (BALANCED, UNBALANCED)
"""What is measured of transductive algorithms, beside the checks."""

CONTRACT: Mapping[str, str] = MappingProxyType(
    {
        "scores": "the scores have the shape, type and device that the contract says",
        "few-examples": "one example of a class, one query and uneven shots are no trouble",
        "unchanged-inputs": "adapting and predicting write into neither support nor queries",
        "loss": "the meta-training loss is one finite number with gradients",
        "weights": "its weights survive safetensors, which holds tensors alone",
        "settings": "its settings are a dataclass, and a wrong one is told in a line",
        "devices": "an accelerator gives the scores of the CPU",
    }
)
"""What the conformance kit checks of an algorithm beside its behaviour."""

ENCODER_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "builds": "it is built for a source and has a width",
        "prepare": "preparing inputs is a function of its arguments and changes nothing",
        "meta-train-only": "what it fits, it fits on meta-train examples alone",
        "embedding": "embeddings have the shape, type and device that the contract says",
        "item-independence": "an example's embedding does not depend on the rest of the batch",
        "determinism": "the same examples give the same bits",
        "unchanged-weights": "embedding leaves all parameters and buffers as they are",
        "gradients": "a trainable encoder can be trained, and a frozen one is always the same",
        "feature-map": "maps of features have the shape that it declares",
        "copies": "embedding with copies of the weights equals a loop over the copies",
        "weights": "its weights survive safetensors, and come from files that need no pickle",
        "devices": "an accelerator gives the embeddings of the CPU",
    }
)
"""What each check of an encoder establishes."""

SOURCE_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "missing-files": "without its files it says in a line what is missing",
        "loads": "it delivers what its descriptor says, and the cache can keep it",
        "determinism": "loading it again, and in another process, gives the same data",
        "values": "inputs are finite tensors of types that waste no memory",
        "splits": "there is enough to train on and to select weights by",
        "episodes": "the protocols of the suites that include it can be carried out",
        "duplicates": "no test example is a copy of a training example",
    }
)
"""What each check of a task source establishes."""

PLUGIN_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "imports": "its entry point can be imported in a new process",
        "import-cost": "importing its entry point is quick and loads nothing heavy",
        "stdout": "importing it prints nothing",
        "registers": "its hooks and descriptors are valid, and its names are its own",
        "descriptors": "descriptors say all that a reader of a table wants to know",
        "targets": "every target is what its descriptor says",
        "dependencies": "what its code imports, its metadata require",
        "no-pickle": "nothing is unpickled and no remote code is trusted",
        "metadata": "the distribution requires metabench and names its licence",
    }
)
"""What each check of a plugin as a whole establishes."""

ALL: Mapping[Subject, Mapping[str, str]] = MappingProxyType(
    {
        "plugin": PLUGIN_CHECKS,
        "source": SOURCE_CHECKS,
        "encoder": ENCODER_CHECKS,
        "algorithm": MappingProxyType({**CONTRACT, **CHECKS}),
    }
)
"""Every check of the conformance kit, in the order in which they are carried out."""


def known_checks(names: Iterable[str]) -> tuple[str, ...]:
    """Return checks of an algorithm's behaviour by name, all if none is named.

    Raises:
        UsageError: If there is no check of that name.
    """
    return chosen_checks(names, (*CHECKS, *MEASURED))


def chosen_checks(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return checks by name, all if none is named.

    Raises:
        UsageError: If there is no check of that name.
    """
    valid = tuple(known)
    chosen = tuple(dict.fromkeys(names)) or valid
    for name in chosen:
        if name not in valid:
            raise unknown_name("check", name, valid)
    return chosen
