"""What runs inside the nodes of the graph: data, features, models, training, evaluation, selection."""
