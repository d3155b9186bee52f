"""What the compiled pipeline, its image and its entry point agree on. Nothing is imported."""

PROJECT = "mnist-tfx"
IMAGE = PROJECT  # its default name; the tag is the version
COMMAND = ("python", "kubeflow/run_executor.py")  # in the image's working directory
CLAIM = (
    PROJECT  # the PersistentVolumeClaim of what is served and of what a killed task goes on from
)
MOUNT = f"/mnt/{PROJECT}"
COMPILED = "kubeflow/mnist.yaml"

NAME_MARK, TASK_MARK = ".", "-"  # Argo takes no dot in the name of a task

# Where Kubeflow's launcher keeps local copies, by the scheme of an artifact's URI.
LOCAL_ROOTS = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}

# Artifact types of ours: the title in the compiled pipeline and the class that it stands for.
ARTIFACT_CLASSES = {
    "mnist.ModelBehaviour": "components.behaviour.component.ModelBehaviour",
    "mnist.ModelComparison": "components.selector.ModelComparison",
    "mnist.Report": "components.report.component.RunReport",
    "mnist.ServingValidation": "components.serving_validator.report.ServingValidation",
}


def task_name(node_id: str) -> str:
    """Returns the task of a node: `Trainer-vgg16` of `Trainer.vgg16`."""
    return node_id.replace(NAME_MARK, TASK_MARK, 1)


def kind_and_model(task: str) -> tuple[str, str]:
    """Returns the kind of a task's node, and its model or nothing."""
    kind, _, model = task.partition(TASK_MARK)
    return kind, model
