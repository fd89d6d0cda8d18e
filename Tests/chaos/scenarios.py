"""All scenarios by name, and which of them play together."""
from skipped import Skipped
import steps

ALL = {
    "kill-steps": steps.kill_steps,
    "stop-steps": steps.stop_steps,
}
SHORT = list(ALL)


def plan(only, short):
    """Groups of scenarios; those of one group play at the same time."""
    return [only or SHORT]


def limit(name):
    return 180
