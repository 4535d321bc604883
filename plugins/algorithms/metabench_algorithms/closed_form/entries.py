"""Descriptors of the closed-form learners."""

from __future__ import annotations

from metabench_algorithms.entry import ALL_KINDS, entry

CLOSED_FORM = (
    entry(
        "logistic-probe",
        "closed_form.logistic_probe:LogisticProbe",
        "multinomial logistic regression on the support set",
        "Tian et al. (2020), Rethinking few-shot image classification, arXiv:2003.11539",
        recipe="supervised",
    ),
    entry(
        "ridge-probe",
        "closed_form.ridge_probe:RidgeProbe",
        "ridge regression on the support set, in closed form",
        "Hoerl & Kennard (1970); per episode: Bertinetto et al. (2019), arXiv:1805.08136",
        kinds=ALL_KINDS,
        recipe="supervised",
    ),
)
