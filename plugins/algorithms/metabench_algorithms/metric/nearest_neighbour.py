"""The nearest support example by cosine similarity."""

from __future__ import annotations

from torch import Tensor

from metabench.learners.contracts import Algorithm, Predictor, Support
from metabench_algorithms.shared.compare import class_max, cosine

BELOW_ANY_COSINE = -2.0


class NearestNeighbour(Algorithm[Tensor]):
    """1-nearest neighbour on L2-normalised embeddings.

    Wang, Chao, Weinberger & van der Maaten (2019), "SimpleShot: Revisiting nearest-neighbor
    classification for few-shot learning", arXiv:1911.04623, section 3: nearest-neighbour rule with
    the L2N transformation, for which Euclidean distance and cosine order alike. The score of a
    class is the similarity of its nearest support example. No hyperparameters.
    """

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Remember the support: ``[B, Q, d] -> [B, Q, way]`` largest cosines."""

        def predict(query: Tensor) -> Tensor:
            similar = cosine(query, support.x)
            return class_max(similar, support.y, support.way, BELOW_ANY_COSINE)

        return predict
