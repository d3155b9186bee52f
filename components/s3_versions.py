"""Versions in a bucket that speaks S3, such as MinIO.

`saved_model.pb` is uploaded last: a version that has none is not complete, and not counted. The
server's address and keys come from where boto3 looks, AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID say.
"""

import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from components import saved_model
from components.versions import SAVED_MODEL


class S3Versions:
    """See `components.served.Served`."""

    def __init__(self, place: str) -> None:
        """Takes `s3://bucket/prefix`."""
        import boto3

        self._bucket, _, prefix = place.partition("://")[2].strip("/").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._client: Any = boto3.client("s3")

    def latest(self) -> int:
        """See `Served`."""
        keys = set(self._keys(""))
        return max((n for n in _numbers(keys) if f"{n}/{SAVED_MODEL}" in keys), default=0)

    def digest(self, version: int) -> str:
        """See `Served`."""
        with tempfile.TemporaryDirectory() as folder:
            self.fetch(version, pathlib.Path(folder))
            return saved_model.digest(pathlib.Path(folder))

    def fetch(self, version: int, target: pathlib.Path) -> None:
        """See `Served`."""
        for key in self._keys(f"{version}/"):
            file = target / key.partition("/")[2]
            file.parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(self._bucket, self._prefix + key, str(file))

    def push(self, model: pathlib.Path) -> int:
        """See `Served`. What a failed upload left is removed."""
        number = max(int(time.time()), max(_numbers(self._keys("")), default=0) + 1)
        files = sorted(file for file in model.rglob("*") if file.is_file())
        files.sort(key=lambda file: file == model / SAVED_MODEL)
        sent: list[str] = []
        try:
            for file in files:
                key = f"{self._prefix}{number}/{file.relative_to(model).as_posix()}"
                self._client.upload_file(str(file), self._bucket, key)
                sent.append(key)
        except BaseException:
            for key in sent:
                self._client.delete_object(Bucket=self._bucket, Key=key)
            raise
        return number

    def _keys(self, below: str) -> Iterator[str]:
        """Yields the keys below a key, without the prefix."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + below):
            yield from (o["Key"].removeprefix(self._prefix) for o in page.get("Contents", ()))


def _numbers(keys: Any) -> set[int]:
    firsts = {key.partition("/")[0] for key in keys}
    return {int(first) for first in firsts if first.isdecimal()}
