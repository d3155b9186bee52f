"""Where artifacts live between tasks: a folder that plays the bucket, or a real S3 server.

As in KFP's object store, a folder is the files below a key; an empty folder leaves nothing.
"""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, Protocol


class BucketError(OSError):
    """The bucket did not take or give what it should."""


class Bucket(Protocol):
    """The object store of a pipeline root."""

    def upload(self, folder: pathlib.Path, uri: str) -> int:
        """Uploads the files of a folder and returns how many; none where it is not there.

        Raises:
          BucketError: it was not taken, as when the bucket is full.
        """

    def download(self, uri: str, folder: pathlib.Path) -> int:
        """Downloads the files below a URI into a folder and returns how many.

        Raises:
          BucketError: they cannot be read.
        """

    def count(self, uri: str) -> int:
        """Returns how many files are below a URI."""


def key_of(uri: str) -> str:
    """Returns bucket and key of `scheme://bucket/key`."""
    return uri.partition("://")[2]


def files_below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the files of a folder, in order."""
    yield from sorted(file for file in folder.rglob("*") if file.is_file())


class FolderBucket:
    """A folder with one folder a bucket."""

    def __init__(self, root: pathlib.Path) -> None:
        """Takes the folder, which is made when something is uploaded."""
        self._root = root

    def upload(self, folder: pathlib.Path, uri: str) -> int:
        """See `Bucket`."""
        return _copy(folder, self._root / key_of(uri), f"uploading to {uri}")

    def download(self, uri: str, folder: pathlib.Path) -> int:
        """See `Bucket`."""
        return _copy(self._root / key_of(uri), folder, f"downloading {uri}")

    def count(self, uri: str) -> int:
        """See `Bucket`."""
        return sum(1 for _ in files_below(self._root / key_of(uri)))


def _copy(source: pathlib.Path, target: pathlib.Path, what: str) -> int:
    copied = 0
    try:
        for file in files_below(source):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            copied += 1
    except OSError as error:
        raise BucketError(f"{what} failed after {copied} files: {error}") from error
    return copied


class S3Bucket:
    """A server that speaks S3, such as MinIO."""

    def __init__(self, endpoint: str) -> None:
        """Takes the server's URL; keys and region come from boto3's own places."""
        import boto3

        self._endpoint = endpoint
        self._client: Any = boto3.client("s3", endpoint_url=endpoint)

    def upload(self, folder: pathlib.Path, uri: str) -> int:
        """See `Bucket`."""
        bucket, _, prefix = key_of(uri).partition("/")
        files = list(files_below(folder))
        with self._failing(f"uploading to {uri}"):
            for file in files:
                key = f"{prefix}/{file.relative_to(folder).as_posix()}"
                self._client.upload_file(str(file), bucket, key)
        return len(files)

    def download(self, uri: str, folder: pathlib.Path) -> int:
        """See `Bucket`."""
        bucket, _, prefix = key_of(uri).partition("/")
        with self._failing(f"downloading {uri}"):
            keys = list(self._keys(bucket, prefix))
            for key in keys:
                copy = folder / key.removeprefix(f"{prefix}/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                self._client.download_file(bucket, key, str(copy))
        return len(keys)

    def count(self, uri: str) -> int:
        """See `Bucket`."""
        bucket, _, prefix = key_of(uri).partition("/")
        with self._failing(f"listing {uri}"):
            return sum(1 for _ in self._keys(bucket, prefix))

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            yield from (found["Key"] for found in page.get("Contents", ()))

    def _failing(self, what: str) -> "_S3Failing":
        return _S3Failing(what, self._endpoint)


class _S3Failing:
    """Turns boto3's errors into a BucketError that names the server."""

    def __init__(self, what: str, endpoint: str) -> None:
        self._what, self._endpoint = what, endpoint

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, Boto3Error | BotoCoreError | ClientError):
            raise BucketError(f"{self._what} at {self._endpoint} failed: {error}") from error
