"""Predictions for whole folders and files on Beam; a sub-module each for kinds, model and parts."""
