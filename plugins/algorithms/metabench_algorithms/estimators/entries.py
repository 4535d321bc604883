"""Descriptor of the door to scikit-learn's estimators."""

from __future__ import annotations

from metabench_algorithms.entry import ALL_KINDS, entry

ESTIMATORS = (
    entry(
        "sklearn",
        "estimators.estimator:Estimator",
        "any classifier or regressor of scikit-learn, fitted to the support set",
        "Pedregosa et al. (2011), Scikit-learn: machine learning in Python, JMLR 12",
        kinds=ALL_KINDS,
        recipe="supervised",
        argument="module.Class of scikit-learn, or package.module:Class with its interface",
        libraries=("sklearn",),
        suites=(),
    ),
)
