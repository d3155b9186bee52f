"""The error of every command whose options cannot be followed."""


class WrongCall(ValueError):
    """The options cannot be followed; the message says what was expected and what came."""
