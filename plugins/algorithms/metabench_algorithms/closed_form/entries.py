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
    entry(
        "r2d2",
        "closed_form.r2d2:R2D2",
        "differentiable ridge regression with learned penalty and scale",
        "Bertinetto et al. (2019), Differentiable closed-form solvers, arXiv:1805.08136",
        kinds=ALL_KINDS,
    ),
    entry(
        "lrd2",
        "closed_form.lrd2:LRD2",
        "differentiable logistic regression, a few Newton steps",
        "Bertinetto et al. (2019), Differentiable closed-form solvers, arXiv:1805.08136",
    ),
    entry(
        "metaoptnet",
        "closed_form.metaoptnet:MetaOptNet",
        "differentiable multi-class support vector machine",
        "Lee et al. (2019), Differentiable convex optimization, arXiv:1904.03758",
    ),
    entry(
        "dkt",
        "closed_form.dkt:DKT",
        "Gaussian process with a meta-learned deep kernel",
        "Patacchiola et al. (2020), Deep kernel transfer, arXiv:1910.05199",
        kinds=ALL_KINDS,
    ),
    entry(
        "adkf-ift",
        "closed_form.adkf_ift:ADKFIFT",
        "deep-kernel Gaussian process, hyperparameters fitted per task, implicit gradient",
        "Chen et al. (2023), Adaptive deep kernel Gaussian processes, arXiv:2205.02708",
        kinds=ALL_KINDS,
    ),
)
