"""Every number and place that the embedded server depends on."""

import dataclasses
import os
import pathlib

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one request or all of them may take.

    Attributes:
      body_bytes: of one request, and after decompression.
      buffered_bytes: of all bodies that are being read or worked on.
      instances: of one request.
      read_seconds: from a request's first byte to its last.
      idle_seconds: that a connection may stay open without a request.
      header_bytes: of one request.
      drain_seconds: that requests under way get when the server stops.
    """

    body_bytes: int = 8 * MIB
    buffered_bytes: int = 256 * MIB
    instances: int = 1_024
    read_seconds: float = 10.0
    idle_seconds: float = 60.0
    header_bytes: int = 64 * 1024
    drain_seconds: float = 10.0


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests share a call of the model; the names are those of TF Serving.

    Attributes:
      max_batch_size: rows of one call.
      batch_timeout_micros: how long rows may wait for more rows while a call is under way and
        another thread is free; an idle server does not wait.
      num_batch_threads: calls at once; one for two cores, since a call uses more than one, and two
        that share them take longer than one after the other.
      max_enqueued_batches: full batches that may wait, for each version; more are refused.
      allowed_batch_sizes: sizes that a batch is filled up to, or none.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 1_000
    num_batch_threads: int = max(1, len(os.sched_getaffinity(0)) // 2)
    max_enqueued_batches: int = 16
    allowed_batch_sizes: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """A model's name, and the folder of its numbered versions."""

    name: str
    base_path: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Options:
    """What the operator asked for.

    Attributes:
      models: served from the start, each by the newest version.
      config_file: a TF Serving model configuration, read again when it changes; it names further
        models, or policy and labels of those in `models`.
      contract: whether versions must have the signatures of this project's models.
      bfloat16_batches: whether large batches are computed in bfloat16, quicker where the CPU has it
        (AMX, AVX512-BF16), from a second copy of the model.
      poll_seconds: how often folders and the configuration are looked at.
      ready_file: written when the first load of every model has ended.
      token: that requests must bear, or empty.
      cors_origins: pages of which origins may ask.
      log_folder: where requests are logged, or None; `log_sample_rate` in 0..1.
    """

    models: tuple[ModelSource, ...] = ()
    config_file: pathlib.Path | None = None
    contract: bool = False
    bfloat16_batches: bool = False
    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int = 8500
    poll_seconds: float = 1.0
    ready_file: pathlib.Path | None = None
    token: str = ""
    cors_origins: tuple[str, ...] = ()
    log_folder: pathlib.Path | None = None
    log_sample_rate: float = 1.0
    limits: Limits = Limits()
    batching: Batching = Batching()
