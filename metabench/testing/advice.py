"""Why each check matters and how to mend what it finds: what a reviewer would say. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from metabench.testing.names import Subject


@dataclass(frozen=True)
class Advice:
    """What a reviewer says beside the finding.

    Attributes:
        why: Why it matters.
        mend: What to do.
    """

    why: str
    mend: str


_SAFETENSORS = (
    "Checkpoints are kept as safetensors and never as pickles, which run code when they are read."
)

_ALGORITHM = {
    "scores": Advice(
        "Everything after the predictor (metrics, losses, tables) relies on this shape.",
        "Return [B, Q, way] scores, in regression [B, Q, k] values, as floating point on the "
        "device of support.x: make new tensors with device=support.x.device.",
    ),
    "few-examples": Advice(
        "Protocols have one shot, one query and shots that differ between classes.",
        "Gather by label (class_means, one_hot) instead of reshaping, and guard statistics that "
        "need two examples, such as a standard deviation.",
    ),
    "unchanged-inputs": Advice(
        "Support and queries may be shared: what one learner writes into them the next one reads.",
        "Write into new tensors only: x = x - mean instead of x -= mean, and clone() before "
        "functions whose names end in an underscore.",
    ),
    "loss": Advice(
        "Meta-training minimises it; without gradients it would spend the budget on nothing.",
        "Do not detach or wrap adapt in no_grad, or say recipe='none' (or 'supervised') if "
        "nothing is learned by episodes.",
    ),
    "weights": Advice(
        _SAFETENSORS,
        "Keep what is learned in parameters and buffers whose shapes depend on the TaskSpec "
        "alone; no get_extra_state, no plain attributes.",
    ),
    "settings": Advice(
        "Users set them in suite files, and a typing error should cost them one line.",
        "Subclass contracts.Hyperparameters as @dataclass(frozen=True, kw_only=True), give "
        "every field a type and a default, and state ranges by bounded().",
    ),
    "devices": Advice(
        "A learner that mixes devices fails on every machine with an accelerator.",
        "Make new tensors with device=support.x.device, and move nothing to the CPU unless its "
        "result comes back.",
    ),
    "query-independence": Advice(
        "A learner that sees other queries is transductive, which is worth one to three points, "
        "and rows that are marked inductive are compared as if it were not.",
        "Take statistics (means, batch norm) of the support only; or declare inductive=False.",
    ),
    "label-permutation": Advice(
        "Episodes name their classes at random; a learner that prefers label 0 reads an accident.",
        "Treat labels as names: gather by label and share the weights between classes; or "
        "declare label_equivariant = False in the class.",
    ),
    "support-permutation": Advice(
        "The order of the support examples is drawn at random and carries no information.",
        "Aggregate by sums and means; or declare support_order_free = False in the class.",
    ),
    "determinism": Advice(
        "The same seed must give the same table, and a paired test compares nothing else.",
        "Draw from torch's generator, which the core seeds, never from random or numpy; give "
        "random_state to scikit-learn.",
    ),
    "unchanged-weights": Advice(
        "What one episode leaves behind moves the next: order of episodes would matter.",
        "Adapt copies: torch.func.functional_call, or tensors that are cloned; freeze batch "
        "norm statistics with momentum=None or track_running_stats=False.",
    ),
    "task-independence": Advice(
        "Episodes are scored in batches of any size, and each counts as independent.",
        "Remember nothing in attributes, and reduce over the examples of an episode (dimension "
        "1), never over dimension 0.",
    ),
    "degenerate-support": Advice(
        "Real episodes hold duplicates, constants and missing classes; a NaN fails the cell.",
        "Add a small number to divisors and diagonals, clamp variances, and answer with equal "
        "scores where nothing can be told.",
    ),
    "hidden-targets": Advice(
        "A learner that sees the answers measures nothing.",
        "Use support and query inputs only; the targets of queries belong to loss alone.",
    ),
}

_ENCODER = {
    "builds": Advice(
        "The core builds an encoder for each source from the shapes of its inputs.",
        "Take the InputSpec (and the descriptor's options as keywords), read shapes from "
        "spec.shapes, call super().__init__() and set self.width.",
    ),
    "prepare": Advice(
        "Its result is computed once and kept on disk under a key of its arguments.",
        "Return new tensors with the same first dimension, change no argument and no state of "
        "the encoder, and accept no meta-train examples at all.",
    ),
    "meta-train-only": Advice(
        "Statistics of test examples are a leak: mean, vocabulary or scale of what is to be "
        "tested.",
        "Fit on inputs[meta_train] only and apply the result to all.",
    ),
    "embedding": Advice(
        "Algorithms are built for this width and compute in float32.",
        "Return [n, width] finite float32; a frozen encoder may also return uint8 or float16.",
    ),
    "item-independence": Advice(
        "Otherwise a query's embedding would hang on the other queries of its batch.",
        "Normalise by running statistics in evaluation mode, and pad to a fixed length.",
    ),
    "determinism": Advice(
        "Embeddings are computed once and shared by all algorithms; the same seed must give the "
        "same table.",
        "Draw nothing in evaluation mode: dropout as a module, not as a function without "
        "training=.",
    ),
    "unchanged-weights": Advice(
        "Evaluation must not train: what one batch leaves behind moves the next.",
        "Update buffers in training mode only (self.training).",
    ),
    "gradients": Advice(
        "A trainable encoder without gradients spends the budget on nothing; a frozen one whose "
        "weights differ each time it is built can share no features.",
        "Declare trainable=False, or let gradients through; draw fixed weights of a frozen "
        "encoder with a torch.Generator of a fixed seed.",
    ),
    "feature-map": Advice(
        "Learners that compare parts of examples are built for map_shape.",
        "Set self.map_shape = (channels, positions...) and return [n, *map_shape] from "
        "forward_map; or do not declare feature_map.",
    ),
    "copies": Advice(
        "Gradient-based learners use it instead of a loop, and must get the same numbers.",
        "Normalise by the statistics of each copy's own batch and change no buffer; or leave "
        "forward_copies out.",
    ),
    "weights": Advice(
        _SAFETENSORS,
        "Load weights from .safetensors, keep what is learned in parameters and buffers, and no "
        "get_extra_state.",
    ),
    "devices": Advice(
        "An encoder that mixes devices fails on every machine with an accelerator.",
        "Register constants as buffers and make new tensors on the device of the inputs.",
    ),
}

_SOURCE = {
    "missing-files": Advice(
        "A source without its files is a skipped cell with the reason, never a traceback.",
        "Reach every file by context.file(path), and name it in the descriptor's files with the "
        "same path.",
    ),
    "loads": Advice(
        "Encoders and protocols are chosen by the descriptor before anything is loaded.",
        "Return metabench.tasks.data.TaskData with the modality and the kind of targets that "
        "the descriptor says.",
    ),
    "determinism": Advice(
        "Episodes and cached results hang on the digest of the data: with another digest "
        "nothing is comparable and nothing is found again.",
        "Draw from numpy.random.default_rng(fixed seed), and sort what comes from sets, folders "
        "and dictionaries of files.",
    ),
    "values": Advice(
        "Encoders compute in float32 and all examples are held in memory.",
        "Keep bytes as uint8, values as float32, and replace or leave out what is not finite.",
    ),
    "splits": Advice(
        "Learners that are meta-trained need classes or tasks of their own, and others to "
        "select their weights by; selection must never look at the test split.",
        "Deliver train, val and test splits with different classes or tasks; a source without "
        "train is for learners that learn nothing.",
    ),
    "episodes": Advice(
        "Every learner on the source would be inapplicable in that suite.",
        "Name in suites={...} the settings in which the source departs, such as {'way': 3, "
        "'query': 5}, or deliver more classes or more examples of each.",
    ),
    "duplicates": Advice(
        "A learner that has seen the test examples is not tested.",
        "Leave copies out before the classes are split, or keep them in one split; tell in "
        "notes how many they were.",
    ),
}

_PLUGIN = {
    "imports": Advice(
        "A plugin that cannot be imported is left out, and one that ends the process ends the "
        "command of whoever installed it.",
        "Import the module in a plain Python and mend what it says; it should hold descriptors "
        "only.",
    ),
    "import-cost": Advice(
        "Every metabench command imports every plugin's entry point, `metabench list` too.",
        "Keep descriptors in a module that imports metabench.hookspecs and nothing heavy; name "
        "the implementation by target='package.module:Name' instead of importing it.",
    ),
    "stdout": Advice(
        "Stdout belongs to the command's result, which may be JSON.",
        "Take the print out, or use the logging module.",
    ),
    "registers": Advice(
        "A plugin with an invalid descriptor, or a name that another one claims, is left out.",
        "Do what the line says.",
    ),
    "descriptors": Advice(
        "Readers of a table want to know what a row is, whose idea it was and what they may do "
        "with the data.",
        "Give each descriptor a summary of at most 100 characters without a full stop, a "
        "citation and the SPDX identifier of its licence.",
    ),
    "targets": Advice(
        "The target is imported when the first cell needs it, long after the run has begun.",
        "Write target='package.module:Name' as it can be imported; an algorithm is a subclass "
        "of Algorithm, everything else can be called.",
    ),
    "dependencies": Advice(
        "On a machine that happens not to have them, the plugin installs and then fails.",
        "Add them to [project] dependencies; or, if they are optional, to an extra and to the "
        "descriptor's requires.",
    ),
    "no-pickle": Advice(
        "A pickle runs any code when it is read, and so does remote code of a model hub.",
        "Keep weights as safetensors and arrays as .npz without objects, or as JSON; read what "
        "others keep as .pt by torch.load(..., weights_only=True).",
    ),
    "metadata": Advice(
        "pip installs what metadata require, and people may use only what is licensed.",
        "In pyproject.toml add 'metabench' to dependencies, and set license and description.",
    ),
}

ADVICE: Mapping[Subject, Mapping[str, Advice]] = MappingProxyType(
    {"plugin": _PLUGIN, "source": _SOURCE, "encoder": _ENCODER, "algorithm": _ALGORITHM}
)
"""For every check in `metabench.testing.names.ALL`."""
