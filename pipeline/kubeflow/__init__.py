"""The pipeline on Kubeflow Pipelines v2: compiled, executed without a cluster, submitted to one."""
