"""What the compiled pipeline, its image and its entry point agree on. Plain values, no imports."""

PROJECT = "mnist-tfx"
IMAGE = PROJECT  # its default name; the tag is the version
COMMAND = ("python", "kubeflow/run_executor.py")  # in the image's working directory
CLAIM = (
    PROJECT  # the PersistentVolumeClaim of what is served and of what a killed task goes on from
)
MOUNT = f"/mnt/{PROJECT}"
COMPILED = "kubeflow/mnist.yaml"

# Where Kubeflow's launcher keeps local copies, by the scheme of an artifact's URI.
LOCAL_ROOTS = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}

# Artifact types of ours: the title in the compiled pipeline and the class that it stands for.
ARTIFACT_CLASSES = {
    "mnist.ModelComparison": "components.selector.ModelComparison",
    "mnist.ServingValidation": "components.serving_validator.report.ServingValidation",
}
