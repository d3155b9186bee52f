"""Training of one model: data, precision, devices, the loop, checkpoints and the export."""
