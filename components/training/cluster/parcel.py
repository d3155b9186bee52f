"""What a worker needs to take part in a training, as bytes: settings, digits, Transform graph."""

import dataclasses
import io
import json
import pathlib
import zipfile

import numpy as np

from components.settings import ModelSettings
from components.training.dataset import Digits
from components.training.fit import FitJob

ENTRY_POINT = "components.training.run"  # of the code that chief and workers must share
JOB, DIGITS, TRANSFORM = "job.json", "digits.npz", "transform"
TOLD = ("what", "precision", "batch_size", "learning_rate", "epochs", "patience")


def pack(job: FitJob, transform: pathlib.Path, code: str) -> bytes:
    """Returns a training as bytes.

    Args:
      transform: folder of the Transform graph that the job uses.
      code: digest of the code, which must be that of the workers.
    """
    told = {name: getattr(job, name) for name in TOLD}
    told |= {"model": dataclasses.asdict(job.model), "code": code}
    digits = io.BytesIO()
    np.savez(digits, images=job.train.images, labels=job.train.labels)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as parcel:
        parcel.writestr(JOB, json.dumps(told))
        parcel.writestr(DIGITS, digits.getvalue())
        for file in sorted(transform.rglob("*")):
            parcel.write(file, pathlib.PurePath(TRANSFORM, file.relative_to(transform)))
    return content.getvalue()


def unpack(content: bytes, folder: pathlib.Path) -> tuple[FitJob, str]:
    """Returns a training without digits to validate on, and the digest of the chief's code.

    Args:
      folder: an empty one, in which the Transform graph stays.
    """
    import tensorflow_transform as tft

    from components.training.export import transform_of

    with zipfile.ZipFile(io.BytesIO(content)) as parcel:
        parcel.extractall(folder)  # a zip's names stay within the folder; tar's only from 3.11.4 on
    told = json.loads((folder / JOB).read_text())
    model, code = told.pop("model"), told.pop("code")
    with np.load(folder / DIGITS) as arrays:
        digits = Digits(arrays["images"], arrays["labels"])
    job = FitJob(
        **told,
        model=ModelSettings(**{**model, "input_shape": tuple(model["input_shape"])}),
        train=digits,
        eval_=digits.first(1),
        transform=transform_of(tft.TFTransformOutput(str(folder / TRANSFORM))),
        doctor=None,
    )
    return job, code
