"""What runs inside the nodes of the graph: data, models, training, evaluation, selection."""
