"""What a worker needs to take part in a training, as bytes: settings, digits, Transform graph."""

import dataclasses
import io
import json
import pathlib
import zipfile

import numpy as np

from components.code import code_digest
from components.settings import ModelSettings
from components.training.cluster.channel import Channel
from components.training.dataset import Digits
from components.training.fit import FitJob

ENTRY_POINT = "components.training.run"  # of the code that chief and workers must share
JOB, DIGITS, TRANSFORM = "job.json", "digits.npz", "transform"
OTHER_CODE = (
    "expected the same code on all machines; a worker's is another than the chief's: install the "
    "same version of mnist-tfx on all of them"
)
TOLD = ("what", "precision", "batch_size", "learning_rate", "epochs", "patience")


def check_code(channel: Channel, module: str) -> None:
    """Checks, before anything else is sent, that chief and workers run the same code.

    Args:
      module: of the model; a worker is told it.

    Raises:
      ValueError: one does not; all machines learn of it.
    """
    if channel.is_chief:
        channel.send(f"{module} {code_digest(ENTRY_POINT, module)}".encode())
        same = True
    else:
        module, _, code = channel.receive().decode().partition(" ")
        same = code == _own_code(module)
    if not channel.agree(same):
        raise ValueError(OTHER_CODE)


def _own_code(module: str) -> str | None:
    try:
        return code_digest(ENTRY_POINT, module)
    except ModuleNotFoundError:
        return None


def pack(job: FitJob, transform: pathlib.Path) -> bytes:
    """Returns a training as bytes.

    Args:
      transform: folder of the Transform graph that the job uses.
    """
    told = {name: getattr(job, name) for name in TOLD}
    told["model"] = dataclasses.asdict(job.model)
    digits = io.BytesIO()
    np.savez(digits, images=job.train.images, labels=job.train.labels)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as parcel:
        parcel.writestr(JOB, json.dumps(told))
        parcel.writestr(DIGITS, digits.getvalue())
        for file in sorted(transform.rglob("*")):
            parcel.write(file, pathlib.PurePath(TRANSFORM, file.relative_to(transform)))
    return content.getvalue()


def unpack(content: bytes, folder: pathlib.Path) -> FitJob:
    """Returns a training without digits to validate on.

    Args:
      folder: an empty one, in which the Transform graph stays.
    """
    import tensorflow_transform as tft

    from components.training.export import transform_of

    with zipfile.ZipFile(io.BytesIO(content)) as parcel:
        parcel.extractall(folder)  # a zip's names stay within the folder; tar's only from 3.11.4 on
    told = json.loads((folder / JOB).read_text())
    model = told.pop("model")
    with np.load(folder / DIGITS) as arrays:
        digits = Digits(arrays["images"], arrays["labels"])
    return FitJob(
        **told,
        model=ModelSettings(**{**model, "input_shape": tuple(model["input_shape"])}),
        train=digits,
        eval_=digits.first(1),
        transform=transform_of(tft.TFTransformOutput(str(folder / TRANSFORM))),
        doctor=None,
    )
