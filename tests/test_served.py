"""Where versions are pushed to: a folder and a bucket, by the same rules."""

import pathlib
from collections.abc import Callable

import pytest

from components import saved_model
from components.served import Served, UnknownPlace, served_at

Place = Callable[[], Served]


def model(folder: pathlib.Path, content: str = "graph") -> pathlib.Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text("weights")
    return folder


@pytest.fixture(params=["folder", "bucket"])
def place(
    request: pytest.FixtureRequest,
    tmp_path: pathlib.Path,
    s3_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """An empty place of each kind."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    bucket = f"s3://bucket/{tmp_path.name}/serving/mnist"
    return bucket if request.param == "bucket" else str(tmp_path / "serving")


def test_nothing_is_served_at_first(place: str) -> None:
    assert served_at(place).latest() == 0


def test_a_pushed_version_is_the_newest_and_comes_back_whole(
    place: str, tmp_path: pathlib.Path
) -> None:
    served, pushed = served_at(place), model(tmp_path / "model")
    version = served.push(pushed)
    assert served.latest() == version
    assert served.digest(version) == saved_model.digest(pushed)
    served.fetch(version, tmp_path / "back" / "deeper")
    assert saved_model.digest(tmp_path / "back" / "deeper") == saved_model.digest(pushed)


def test_numbers_only_grow_within_one_second(place: str, tmp_path: pathlib.Path) -> None:
    served = served_at(place)
    numbers = [served.push(model(tmp_path / str(i), str(i))) for i in range(3)]
    assert numbers == sorted(set(numbers))
    assert served.digest(numbers[0]) != served.digest(numbers[1])


def test_an_upload_that_fails_leaves_no_version(
    tmp_path: pathlib.Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`saved_model.pb` comes last, so what a killed upload leaves is not a version either."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    served = served_at(f"s3://bucket/{tmp_path.name}")
    (broken := model(tmp_path / "model") / "saved_model.pb").unlink()
    broken.symlink_to("nowhere")
    served.push(tmp_path / "model")  # as a push that was killed before its last file
    assert served.latest() == 0
    good = served.push(model(tmp_path / "good"))
    assert served.latest() == good


def test_a_failed_upload_is_taken_back(
    tmp_path: pathlib.Path, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    served = served_at(f"s3://bucket/{tmp_path.name}")
    sent: list[str] = []
    upload = served._client.upload_file

    def fail_at_the_second(file: str, bucket: str, key: str) -> None:
        sent.append(key)
        if len(sent) == 2:
            raise OSError("No space left")
        upload(file, bucket, key)

    monkeypatch.setattr(served._client, "upload_file", fail_at_the_second)
    with pytest.raises(OSError, match="No space left"):
        served.push(model(tmp_path / "model"))
    assert sent[-1].endswith("/saved_model.pb")
    assert list(served._keys("")) == []


def test_another_scheme_is_refused_in_words() -> None:
    with pytest.raises(UnknownPlace, match=r"s3://bucket/prefix, to push to; got gs://bucket"):
        served_at("gs://bucket/x")
