"""MLflow for real: a database and a folder."""

import pytest
from trk_cases import record

pytest.importorskip("mlflow", reason="`pip install 'metabench-trackers[mlflow]'`")
pytest.importorskip("sqlalchemy", reason="`pip install 'metabench-trackers[mlflow]'`")

from mlflow import MlflowClient

from metabench_trackers import mlflow_observer as observer
from metabench_trackers import observing


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Importing MLflow and making its database takes seconds, on a busy machine many."""
    monkeypatch.setattr(observing, "FINISH_SECONDS", 240)
    monkeypatch.setattr(observing, "ABORT_SECONDS", 240)


def runs(uri, experiment="metabench"):
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return client, client.search_runs([found.experiment_id])


@pytest.fixture
def tables(tmp_path):
    path = tmp_path / "vision.csv"
    path.write_text("source,mean\ndigits,0.5\n")
    return (str(path),)


@pytest.mark.parametrize("kind", ["database", "folder"])
def test_a_run_is_kept_with_its_cells_and_tables(kind, tmp_path, monkeypatch, tables):
    uri = f"sqlite:///{tmp_path / 'ml.db'}" if kind == "database" else str(tmp_path / "ml")
    monkeypatch.setenv("METABENCH_MLFLOW", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    for again in range(2):
        observer.metabench_run_started(2, "/the/store")
        observer.metabench_cell_finished(record("a", mean=0.25))
        observer.metabench_cell_finished(record("maml++", status="inapplicable", reason="why"))
        if again:
            observer.metabench_cell_finished(record("c", status="killed"))
        observer.metabench_run_finished(tables)
    client, (second, first) = runs(uri)
    assert (first.info.status, second.info.status) == ("FINISHED", "FAILED")
    assert first.data.metrics == {
        "digits/pixels/a/quick-5w1s/seed0/accuracy": 0.25,
        "cells/ok": 1.0,
        "cells/inapplicable": 1.0,
    }
    assert first.data.params == {"cells": "2"}
    assert first.data.tags["metabench.store"] == "/the/store"
    (why,) = [value for name, value in first.data.tags.items() if name.startswith("digits/")]
    assert why == "inapplicable: why"
    (path,) = client.list_artifacts(first.info.run_id, "tables")
    assert path.path == "tables/vision.csv"


def test_an_interrupted_run_is_killed_and_the_experiment_has_a_name(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'ml.db'}"
    monkeypatch.setenv("METABENCH_MLFLOW", uri)
    monkeypatch.setenv("METABENCH_MLFLOW_EXPERIMENT", "few shots")
    observer.metabench_run_started(1, "/the/store")
    observer.OBSERVER._abort()
    _, (run,) = runs(uri, "few shots")
    assert run.info.status == "KILLED"


def test_a_server_that_is_not_there_is_an_error_of_the_tracker_alone(monkeypatch):
    monkeypatch.setenv("METABENCH_MLFLOW", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    observer.metabench_run_started(1, "/the/store")
    with pytest.raises(RuntimeError, match="mlflow at METABENCH_MLFLOW failed"):
        observer.metabench_run_finished(())
    observer.metabench_run_finished(())
