"""Serving of the pushed model; nothing here yet but the package."""
