"""Executes a compiled pipeline without a cluster, as Kubeflow's driver and launcher would."""
