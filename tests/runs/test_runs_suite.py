"""Suite files: what they may say, and one line about what they may not."""

import pytest

from metabench.errors import UsageError
from metabench.runs.suite import find_suite, load_suites, parse_suite

HEAD = 'name = "mine"\nsummary = "my own"\n'


def refusal(text):
    with pytest.raises(UsageError) as error:
        parse_suite(HEAD + text, "mine.toml")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_shipped_suites_are_valid():
    suites = load_suites()
    assert {"quick", "standard", "full"} <= set(suites)
    for name, suite in suites.items():
        assert suite.name == name
        for shot in suite.shots:
            assert suite.make_protocol(shot, "accuracy", {}, {}).name == f"{name}-5w{shot}s"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = [1]\n", "mine.toml: unknown key 'seed'; did you mean seeds?"),
        ("[[entries]]\nsource = ['a']\nsources = ['a']\n", "unknown key 'source' in entries; did"),
        ("[[entries]]\nshots = [1]\n", "the key 'entries.sources' is missing"),
        ("seeds = []\n", "seeds = []: "),
        ("seeds = [-1]\n", "seeds = -1: "),
        ("seeds = ['x']\n", "seeds = 'x': input should be a valid integer"),
        ("shots = []\n", "shots = []: "),
        ("name = 'b'\n", "mine.toml is not valid TOML: "),
        ("[variants.Big]\nalgorithm = 'maml'\n", "variants: 'Big' cannot be a name; a name is"),
        ("[variants.big]\nsteps = 3\n", "the key 'variants.big.algorithm' is missing"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text, said):
    assert said in refusal(text)


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the suite .*none\.toml: No such file"):
        find_suite(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not valid TOML"):
        find_suite(str(tmp_path / "bad.toml"))
    with pytest.raises(UsageError, match="did you mean quick"):
        find_suite("quikc")


@pytest.mark.parametrize(
    ("name", "near"), [("wya", "way"), ("episode", "episodes"), ("shot", ""), ("engine", "")]
)
def test_an_unknown_protocol_setting_names_the_nearest(name, near):
    suite = parse_suite(f"{HEAD}[protocol]\n{name} = 1\n", "mine.toml")
    with pytest.raises(
        UsageError, match=f"suite 'mine': unknown protocol setting '{name}'"
    ) as error:
        suite.make_protocol(1, "accuracy", {}, {})
    assert near in str(error.value)


def test_later_settings_win_and_only_a_change_of_the_user_renames():
    suite = parse_suite(f"{HEAD}[protocol]\nway = 5\nepisodes = 10\n", "mine.toml")
    assert suite.make_protocol(1, "auroc", {"episodes": 20}, {}).episodes == 20
    assert suite.make_protocol(1, "auroc", {"way": 3}, {}).name == "mine-3w1s"
    assert suite.make_protocol(1, "auroc", {}, {}).metric == "auroc"
    changed = suite.make_protocol(1, "auroc", {"episodes": 20}, {"episodes": 30})
    assert (changed.episodes, changed.name) == (30, "mine-5w1s-custom")
    same = suite.make_protocol(1, "auroc", {}, {"episodes": 10, "way": 5})
    assert same == suite.make_protocol(1, "auroc", {}, {})


def test_a_bad_value_of_the_user_is_one_line():
    suite = parse_suite(HEAD, "mine.toml")
    with pytest.raises(UsageError, match=r"^protocol mine-0w1s: way = 0: way must be at least 2"):
        suite.make_protocol(1, "accuracy", {}, {"way": 0})
