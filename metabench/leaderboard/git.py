"""Tables as a commit on a branch of a repository; its files and its index are left alone."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from metabench.errors import MetabenchError, UsageError

SKIPPED = frozenset({"cache", "quarantine", "tracebacks", ".git"})
"""Folders of a store that nobody publishes."""


@dataclass(frozen=True)
class Committed:
    """A commit.

    Attributes:
        commit: Its hash.
        files: Number of files in the published folder.
        changed: Whether there was anything to commit; if not, ``commit`` is the branch's last one.
    """

    commit: str
    files: int
    changed: bool


def commit_folder(folder: Path, repository: Path, branch: str, place: str, text: str) -> Committed:
    """Commit a folder to a branch that is not checked out.

    Args:
        folder: What to commit; it takes the place of all that the branch has there.
        repository: A git repository.
        branch: The branch; made from the repository's HEAD if need be.
        place: The folder's path in the repository.
        text: The commit's message.

    Returns:
        The commit.

    Raises:
        UsageError: If the folder is empty, the repository none, or the branch cannot be written.
        MetabenchError: If git is missing or says no.
    """
    files = sorted(_files(folder))
    if not files:
        raise UsageError(f"{folder} holds no files; `metabench leaderboard build` makes tables")
    _check(repository, branch, place)
    ref = f"refs/heads/{branch}"
    last = _git(repository, "rev-parse", "--verify", "--quiet", ref, may_fail=True)
    parent = last or _git(repository, "rev-parse", "--verify", "--quiet", "HEAD", may_fail=True)
    names = "".join(f"{path.resolve()}\n" for path in files)
    blobs = _git(repository, "hash-object", "-w", "--no-filters", "--stdin-paths", given=names)
    entries = "".join(
        f"100644 {blob}\t{PurePosixPath(place) / path.relative_to(folder).as_posix()}\0"
        for blob, path in zip(blobs.split(), files, strict=True)
    )
    with tempfile.TemporaryDirectory(prefix="metabench-") as name:
        index = str(Path(name) / "index")
        if parent:
            _git(repository, "read-tree", parent, index=index)
            removed = ("rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", place)
            _git(repository, *removed, index=index)
        _git(repository, "update-index", "-z", "--index-info", given=entries, index=index)
        tree = _git(repository, "write-tree", index=index)
    if last and tree == _git(repository, "rev-parse", f"{last}^{{tree}}"):
        return Committed(last, len(files), changed=False)
    parents = ("-p", parent) if parent else ()
    commit = _git(repository, "commit-tree", tree, *parents, "-m", text)
    _git(
        repository, "update-ref", "-m", "metabench leaderboard push", ref, commit, last or "0" * 40
    )
    return Committed(commit, len(files), changed=True)


def _files(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in inside)
        if path.is_file() and not path.is_symlink() and not hidden and inside[0] not in SKIPPED:
            if "\n" in str(path.resolve()):
                raise UsageError(f"{str(path)!r} has a line break in its name; rename it")
            found.append(path)
    return found


def _check(repository: Path, branch: str, place: str) -> None:
    parts = PurePosixPath(place).parts
    if not parts or PurePosixPath(place).is_absolute() or {"..", ".", ".git"} & set(parts):
        raise UsageError(f"--path {place!r} is no folder inside a repository, such as leaderboards")
    if not repository.is_dir():
        raise UsageError(f"{repository} is no folder; name a git repository")
    if not _git(repository, "rev-parse", "--git-dir", may_fail=True):
        raise UsageError(f"{repository} is no git repository; `git init {repository}` makes one")
    if not _git(repository, "check-ref-format", "--branch", branch, may_fail=True):
        raise UsageError(f"--branch {branch!r} cannot name a branch")
    trees = _git(repository, "worktree", "list", "--porcelain").splitlines()
    if f"branch refs/heads/{branch}" in trees:
        raise UsageError(
            f"--branch {branch!r} is checked out, and its files would seem changed; name another "
            "branch, such as leaderboards, and merge it"
        )


def _git(
    repository: Path,
    *arguments: str,
    given: str | None = None,
    index: str | None = None,
    may_fail: bool = False,
) -> str:
    """Run git and return what it prints; nothing if it fails and may do so."""
    environment = {name: value for name, value in os.environ.items() if name != "GIT_INDEX_FILE"}
    if index:
        environment["GIT_INDEX_FILE"] = index
    try:
        done = subprocess.run(  # noqa: S603 - no shell; names are checked or follow options' end
            ["git", "-C", str(repository), *arguments],  # noqa: S607 - the user's own git
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise MetabenchError("git is not installed; install it and run this again") from None
    if done.returncode and not may_fail:
        reason = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        if "ident" in done.stderr or "tell me who you are" in done.stderr:
            reason = "it does not know who you are; set user.name and user.email"
        raise MetabenchError(f"git {arguments[0]} in {repository}: {reason}")
    return "" if done.returncode else done.stdout.strip()
