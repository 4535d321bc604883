"""``metabench leaderboard push``: the tables for other outlets, up to the upload."""

from __future__ import annotations

from pathlib import Path

import click

from metabench.cli._common import LazyGroup
from metabench.cli._settings import ConfiguredCommand

_FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path), default="leaderboards", show_default=True,
    help="The tables, as `metabench leaderboard build` left them.",
)  # fmt: skip


@click.group("push", cls=LazyGroup, lazy={})
def push() -> None:
    """Prepare the tables for another outlet. Nothing is uploaded: the last line says how."""


@push.command("hf", cls=ConfiguredCommand)
@_FOLDER
@click.option(
    "--out", type=click.Path(path_type=Path), default="hf-dataset", show_default=True,
    help="The dataset's folder.",
)  # fmt: skip
@click.option("--repo", default="USER/NAME", show_default=True, help="The dataset's name.")
@click.option("--license", "licence", default="", help="Of the tables, such as cc-by-4.0.")
def hf(*, folder: Path, out: Path, repo: str, licence: str) -> None:
    """Write a dataset folder in the Hugging Face layout, with a card."""
    from metabench.leaderboard.huggingface import write_dataset

    for path in write_dataset(folder, out, repo, licence):
        click.echo(f"wrote   {path}")
    click.echo(
        f"nothing was uploaded; to do so: hf upload {repo} {out} --repo-type dataset"
        + ("" if repo != "USER/NAME" else " (with the dataset's own name)")
    )


@push.command("git", cls=ConfiguredCommand)
@click.argument("repository", type=click.Path(path_type=Path), default=".")
@_FOLDER
@click.option("--branch", default="leaderboards", show_default=True, help="Where to commit.")
@click.option(
    "--path", "place", default="leaderboards", show_default=True, help="Folder in the repository."
)
@click.option("-m", "--message", default="Leaderboards", show_default=True, help="Of the commit.")
def git(*, repository: Path, folder: Path, branch: str, place: str, message: str) -> None:
    """Commit the tables to a branch of REPOSITORY, which must not be checked out."""
    from metabench.leaderboard.git import commit_folder

    done = commit_folder(folder, repository, branch, place, message)
    if done.changed:
        click.echo(f"committed {done.files} files to {branch} as {done.commit[:12]}")
    else:
        click.echo(f"{branch} holds these {done.files} files already, since {done.commit[:12]}")
    click.echo(f"nothing was pushed; to do so: git -C {repository} push origin {branch}")
