"""Why a scenario was not played."""


class Skipped(Exception):
    """What it attacks is not there."""
