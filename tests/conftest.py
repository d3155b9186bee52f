"""The environment of every test, set before TensorFlow can be imported, and a shared fixture."""

import functools
import os
from typing import Any

import pytest

os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"


@pytest.fixture(scope="session")
def transform_output(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A TFTransformOutput for (32, 32, 3), from the committed schema, as the Transform node's."""
    import apache_beam as beam
    import numpy as np
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.features import IMAGE, LABEL, preprocessing_fn
    from components.schema_gen import SCHEMA_FILE

    folder = str(tmp_path_factory.mktemp("transform"))
    temporary = str(tmp_path_factory.mktemp("temporary"))
    metadata = tft.DatasetMetadata(text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema()))
    rows = [{IMAGE: np.full((28, 28), shade, np.int64), LABEL: 3} for shade in (0, 255)]
    function = functools.partial(preprocessing_fn, custom_config={"input_shape": (32, 32, 3)})
    options = PipelineOptions(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    with beam.Pipeline(options=options) as root, tft_beam.Context(temp_dir=temporary):
        transform_fn = (root | beam.Create(rows), metadata) | tft_beam.AnalyzeDataset(function)
        _ = transform_fn | tft_beam.WriteTransformFn(folder)
        raw = os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
        _ = metadata | tft_beam.WriteMetadata(raw, root)
    return tft.TFTransformOutput(folder)
