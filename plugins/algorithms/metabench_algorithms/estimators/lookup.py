"""From a name and settings, as a TOML file has them, to an estimator."""

from __future__ import annotations

import difflib
import importlib
import inspect
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import all_estimators

from metabench.errors import UnavailableError, UsageError, unknown_name

PREFIX = "sklearn:"
PACKAGE = "sklearn"


def build_estimator(name: str, parameters: Mapping[str, Any]) -> Any:
    """Build an estimator.

    A parameter that is an estimator itself is written as its name, ``"sklearn:svm.LinearSVC"``, or
    as a table with its name and parameters, ``{ sklearn = "svm.LinearSVC", C = 10 }``; so are those
    in lists, such as the steps of a pipeline.

    Args:
        name: ``module.Class`` below ``sklearn``, or ``package.module:Class``.
        parameters: Of its constructor.

    Returns:
        The estimator, not yet fitted.

    Raises:
        UsageError: If there is no such class, or it does not take the parameters.
        UnavailableError: If the package is not installed.
    """
    made = find_class(name)
    place = f"{PREFIX}{name}"
    signature = inspect.signature(made)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for parameter in parameters:
        if parameter not in signature.parameters and not open_ended:
            raise unknown_name(f"{place} parameter", parameter, signature.parameters)
    given = {parameter: _built(value) for parameter, value in parameters.items()}
    for parameter, declared in signature.parameters.items():
        positional = declared.kind in {declared.POSITIONAL_OR_KEYWORD, declared.KEYWORD_ONLY}
        if positional and declared.default is declared.empty and parameter not in given:
            raise UsageError(
                f'{place} needs {parameter}; an estimator is written as "{PREFIX}module.Class" or '
                f'{{ sklearn = "module.Class", ... }}'
            )
    try:
        return clone(made(**given))  # which takes its parameters apart: see whether it can be done
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{place}: {_first_line(error)}") from error


def kind_of(estimator: Any) -> str:
    """Return ``classifier``, ``regressor``, or nothing for what is neither."""
    try:
        if is_classifier(estimator):
            return "classifier"
        return "regressor" if is_regressor(estimator) else ""
    except (AttributeError, TypeError):  # it has none of the tags of today's scikit-learn
        guess = "classifier" if hasattr(estimator, "predict_proba") else ""
        return str(getattr(estimator, "_estimator_type", guess))


def find_class(name: str) -> Any:
    """Return the class that a name stands for.

    Args:
        name: ``module.Class`` below ``sklearn``, or ``package.module:Class``.

    Raises:
        UsageError: If there is none, with the nearest names.
        UnavailableError: If the package is not installed.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
    else:
        inside, _, attribute = name.rpartition(".")
        module = f"{PACKAGE}.{inside}" if inside else PACKAGE
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):  # what it imports is missing
            raise
        holder, package = None, module.partition(".")[0]
        if error.name == package:
            raise UnavailableError(
                f"{PREFIX}{name} needs the module {package!r}, which is not installed",
                f"install the package that provides {package}",
            ) from error
    found = getattr(holder, attribute, None)
    if _fits(found):
        return found
    if ":" not in name:
        raise _no_such(name, _names())
    here = [each for each, one in vars(holder).items() if _fits(one)] if holder else []
    raise _no_such(name, [f"{module}:{each}" for each in here])


def other_kind(name: str, wanted: str) -> str:
    """Return the names nearest to one among the estimators of another kind, as a hint."""
    near = _near(name, _names(wanted))
    return f", such as {' or '.join(PREFIX + each for each in near)}" if near else ""


def _no_such(name: str, known: Iterable[str]) -> UsageError:
    near = _near(name, known)
    hint = (
        f"did you mean {' or '.join(PREFIX + each for each in near)}?"
        if near
        else f"write {PREFIX}ensemble.ExtraTreesClassifier or {PREFIX}package.module:Class"
    )
    fault = ": there is no such class with a method fit"
    if ":" not in name:
        fault = f": scikit-learn {sklearn.__version__} has no such estimator"
    return UsageError(f"{PREFIX}{name}{fault}; {hint}")


def _near(name: str, known: Iterable[str]) -> list[str]:
    """Find names like one; a class without its module is near to itself."""
    choices = sorted(known)
    same = [each for each in choices if each.rpartition(".")[2] == name.rpartition(".")[2]]
    return same or difflib.get_close_matches(name, choices, n=2, cutoff=0.5)


def _names(*kinds: str) -> list[str]:
    """Names of scikit-learn's classifiers and regressors, as users write them."""
    found = all_estimators(type_filter=list(kinds or ("classifier", "regressor")))
    return [f"{_public(made.__module__)}.{name}" for name, made in found]


def _public(module: str) -> str:
    parts = module.split(".")[1:]
    return ".".join(itertools.takewhile(lambda part: not part.startswith("_"), parts))


def _fits(value: Any) -> bool:
    return inspect.isclass(value) and hasattr(value, "fit")


def _built(value: Any) -> Any:
    """Build the estimators inside a parameter's value."""
    if isinstance(value, str) and value.startswith(PREFIX):
        return _inner(value, {})
    if isinstance(value, Mapping) and isinstance(value.get(PACKAGE), str):
        own = {name: each for name, each in value.items() if name != PACKAGE}
        return _inner(value[PACKAGE], own)
    if isinstance(value, Mapping):
        return {name: _built(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_built(each) for each in value]
    return value


def _inner(name: str, parameters: Mapping[str, Any]) -> Any:
    """Build an estimator inside another; only scikit-learn's version is part of the cell key."""
    name = name.removeprefix(PREFIX)
    if ":" in name:
        raise UsageError(f"{PREFIX}{name}: an estimator inside another has to be scikit-learn's")
    return build_estimator(name, parameters)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
