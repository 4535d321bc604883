"""The door: descriptors are light, true and named as documented."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from alg_cases import INFOS, target

from metabench.learners.contracts import Algorithm

PLUGIN = Path(__file__).parents[3] / "plugins" / "algorithms"


FAMILIES = {
    "metric": "protonet matchingnet relationnet simpleshot nearest-neighbour feat dn4 tadam "
    "simple-cnaps meta-baseline",
    "gradient": "maml fomaml maml++ reptile anil boil meta-sgd cavia proto-maml imaml",
    "closed_form": "r2d2 metaoptnet logistic-probe lrd2 dkt adkf-ift ridge-probe",
    "transfer": "baseline baseline++ fine-tune rfs bitfit lora",
    "transductive": "laplacianshot tim pt-map bd-cspn label-propagation transductive-fine-tuning",
    "memory": "snail cnp in-context",
    "classical": "chance random-forest knn gp linear-svm rbf-svm gradient-boosting",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_methods_of_the_field_are_there(family):
    for name in FAMILIES[family].split():
        assert INFOS[name].target.startswith(f"metabench_algorithms.{family}.")


@pytest.mark.parametrize("name", sorted(INFOS))
def test_target_exists_and_options_are_hyperparameters(name):
    cls, info = target(name), INFOS[name]
    assert issubclass(cls, Algorithm)
    assert cls.Hyperparameters(**info.options)
    assert cls.__doc__
    assert info.citation or name == "chance"


@pytest.mark.parametrize("name", sorted(n for n in INFOS if INFOS[n].recipe == "supervised"))
def test_supervised_learners_share_the_settings_of_their_checkpoint(name):
    base = Algorithm.Hyperparameters()
    hyper = target(name).Hyperparameters()
    assert {k: getattr(hyper, k) for k in vars(base)} == vars(base)


def test_listing_imports_no_torch():
    code = (
        "import sys; from metabench_algorithms import plugin as m; list(m.metabench_algorithms());"
        "sys.exit(', '.join({'torch', 'numpy', 'sklearn', 'pandas'} & sys.modules.keys()) or 0)"
    )
    path = [str(PLUGIN), str(PLUGIN.parents[1])]
    script = f"import sys; sys.path[:0] = {path!r}; {code}"
    done = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_readme_names_every_algorithm_and_its_recipe():
    text = (PLUGIN / "README.md").read_text(encoding="utf-8")
    for name, info in INFOS.items():
        line = next(row for row in text.splitlines() if row.startswith(f"| `{name}` |"))
        stages = ["its own" if ":" in stage else stage for stage in info.recipe.split("+")]
        assert line.endswith(f"| {'+'.join(stages)} |")
        assert info.inductive is ("transductive" not in line)


def test_readme_names_the_learners_of_regression():
    sentence = (PLUGIN / "README.md").read_text(encoding="utf-8").split("\n\n")[-1]
    for name, info in INFOS.items():
        assert (f"`{name}`" in sentence) is ("regression" in info.task_kinds)


def test_entry_point():
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["metabench"] == {"algorithms": "metabench_algorithms.plugin"}
