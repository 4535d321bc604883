"""What a learner gets that does not look at its inputs."""

from __future__ import annotations

from torch import Tensor

from metabench.learners.contracts import Algorithm, Predictor, Support, one_hot


class Chance(Algorithm[Tensor]):
    """Predict from the support targets alone.

    Classification: the same score for every class, and the metric shares the credit of a tie, so
    the accuracy is exactly ``1 / way``. Binary: the share of each class in the support, which ranks
    nothing. Regression: the mean of the support targets, output by output.
    """

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Return a predictor that only counts the queries: ``[B, Q, ...] -> [B, Q, way]``."""
        if self.task.kind == "regression":
            constant = support.y.mean(1, keepdim=True)
        else:
            constant = one_hot(support.y, support.way).mean(1, keepdim=True)
            if self.task.kind == "classification":
                constant = constant.new_zeros(constant.shape)

        def predict(query: Tensor) -> Tensor:
            return constant.expand(-1, query.shape[1], -1)

        return predict
