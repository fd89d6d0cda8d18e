"""The error of a scenario that cannot run."""


class Skipped(Exception):
    """The target of the scenario's attack does not exist."""
