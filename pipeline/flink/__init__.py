"""A Flink session cluster on this machine for the Beam nodes; no run needs it by itself."""
