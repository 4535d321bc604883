"""Other outlets, up to the upload."""

import csv
import subprocess

import pytest
import yaml
from record_cases import make_store

from metabench.errors import MetabenchError, UsageError
from metabench.leaderboard.folder import read_folder
from metabench.leaderboard.git import commit_folder
from metabench.leaderboard.huggingface import write_dataset
from metabench.leaderboard.prepared import prepare
from metabench.leaderboard.publish import publish


@pytest.fixture
def tables(tmp_path, rng):
    store = make_store(tmp_path / "store", rng)
    publish(prepare(found.scored() for found in read_folder(store).found), tmp_path / "tables")
    return tmp_path / "tables"


def git(folder, *arguments):
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "A. Tester")
    git(folder, "config", "user.email", "a@example.org")
    return folder


def test_the_card_names_every_table(tables, tmp_path):
    out = tmp_path / "dataset"
    paths = write_dataset(tables, out, "lab/boards", "cc-by-4.0")
    assert sorted(path.relative_to(out).as_posix() for path in paths) == [
        "README.md", "data/nlp.csv", "data/overall.csv", "data/vision.csv", "manifest.json",
    ]  # fmt: skip
    _, front, text = (out / "README.md").read_text("utf-8").split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["license"] == "cc-by-4.0"
    assert [config["config_name"] for config in values["configs"]] == ["nlp", "overall", "vision"]
    assert [c["config_name"] for c in values["configs"] if c.get("default")] == ["overall"]
    for config in values["configs"]:
        with (out / config["data_files"]).open(newline="") as file:
            assert len(list(csv.reader(file))) > 3
    assert 'load_dataset("lab/boards", "overall")' in text
    assert write_dataset(tables, out, "lab/boards", "cc-by-4.0") == paths


def test_names_that_yaml_would_misread_stay_names(make, rng, tmp_path):
    publish(prepare([make(rng.uniform(size=9), domain="1e3")]), tmp_path / "tables")
    write_dataset(tmp_path / "tables", tmp_path / "out")
    front = (tmp_path / "out" / "README.md").read_text("utf-8").split("---\n", 2)[1]
    assert yaml.safe_load(front)["configs"][0]["config_name"] == "1e3"


def test_somebody_elses_card_is_left_alone(tables, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="was not written by this command"):
        write_dataset(tables, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    with pytest.raises(UsageError, match="holds no tables"):
        write_dataset(tmp_path / "nowhere", tmp_path / "out")


def test_a_commit_leaves_the_working_tree_alone(tables, repository):
    (repository / "code.py").write_text("x = 1\n")
    (repository / "leaderboards").mkdir()
    (repository / "leaderboards" / "old.csv").write_text("old\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "first")
    (repository / "staged.py").write_text("")
    git(repository, "add", "staged.py")
    before = git(repository, "status", "--porcelain")
    done = commit_folder(tables, repository, "boards", "leaderboards", "Tables")
    assert done.changed
    assert git(repository, "status", "--porcelain") == before
    names = git(repository, "ls-tree", "-r", "--name-only", "boards").split()
    assert "code.py" in names
    assert "leaderboards/vision.csv" in names
    assert "leaderboards/old.csv" not in names
    assert "staged.py" not in names
    text = git(repository, "show", "boards:leaderboards/vision.csv")
    assert text == (tables / "vision.csv").read_text("utf-8").strip()
    again = commit_folder(tables, repository, "boards", "leaderboards", "Tables")
    assert (again.changed, again.commit) == (False, done.commit)
    (tables / "vision.csv").write_text("changed")
    third = commit_folder(tables, repository, "boards", "leaderboards", "Tables")
    assert git(repository, "rev-parse", f"{third.commit}^") == done.commit


def test_a_repository_without_a_commit(tables, repository):
    done = commit_folder(tables, repository, "boards", "a/b", "Tables")
    assert "a/b/manifest.json" in git(repository, "ls-tree", "-r", "--name-only", done.commit)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"branch": "main"}, "is checked out"),
        ({"branch": "a..b"}, "cannot name a branch"),
        ({"branch": "--help"}, "cannot name a branch"),
        ({"place": "../up"}, "is no folder inside a repository"),
        ({"place": ""}, "is no folder inside a repository"),
        ({"repository": "nowhere"}, "is no folder"),
        ({"repository": "plain"}, "is no git repository"),
        ({"folder": "plain"}, "holds no files"),
    ],
)
def test_bad_requests(tables, repository, tmp_path, changes, said):
    (tmp_path / "plain").mkdir()
    git(repository, "commit", "--allow-empty", "-qm", "first")
    values = {"folder": tables, "repository": repository, "branch": "b", "place": "p", "text": "t"}
    paths = {name: tmp_path / v for name, v in changes.items() if name in {"repository", "folder"}}
    with pytest.raises(UsageError, match=said):
        commit_folder(**values | changes | paths)


def test_git_says_who_is_missing(tables, repository, monkeypatch):
    git(repository, "config", "--unset", "user.name")
    git(repository, "config", "--unset", "user.email")
    git(repository, "config", "user.useConfigOnly", "true")
    with pytest.raises(MetabenchError, match=r"set user\.name and user\.email"):
        commit_folder(tables, repository, "boards", "p", "t")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MetabenchError, match="git is not installed"):
        commit_folder(tables, repository, "boards", "p", "t")
