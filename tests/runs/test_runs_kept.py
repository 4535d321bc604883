"""What a store keeps of each user's own data."""

from pathlib import Path

from metabench.runs.kept import OwnRun, keep_own_run, own_run
from metabench.runs.request import RunRequest


def test_each_source_has_its_last_run(tmp_path):
    for source in ("one", "two"):
        request = RunRequest(data_table=Path(f"/data/{source}.csv"), text="t", shots=(1, "uneven"))
        keep_own_run(tmp_path, source, OwnRun(request=request, digest=source))
    found = own_run(tmp_path, "one")
    assert found is not None
    assert found.request.data_table == Path("/data/one.csv")
    assert found.request.shots == (1, "uneven")
    assert found.digest == "one"


def test_what_is_torn_or_absent_counts_as_unknown(tmp_path):
    assert own_run(tmp_path, "one") is None
    keep_own_run(tmp_path, "one", OwnRun(request=RunRequest()))
    path = tmp_path / "own" / "one.json"
    path.write_text(path.read_text("utf-8")[:50], "utf-8")
    assert own_run(tmp_path, "one") is None
