"""The mark of outputs whose model was left out of a run when it was submitted: there, but empty."""

LEFT_OUT = "left_out"
