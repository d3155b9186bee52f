"""The doctor for deep networks: what a training looks like inside, and what that means, in words.

`sampling` looks into the network, `chart` keeps what was seen, `diagnosis` judges it without
TensorFlow, `callback` does so during a training and acts on it.
"""
