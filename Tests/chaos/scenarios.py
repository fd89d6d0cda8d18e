"""All scenarios by name, and which of them play together."""
import clock
import database
import failover
import selftest
import steps
import twilio
from skipped import Skipped

ALL = {
    "self-test": selftest.self_test,
    "kill-steps": steps.kill_steps,
    "stop-steps": steps.stop_steps,
    "cut-unsent": twilio.cut_unsent,
    "sigterm": database.sigterm,
    "backends": database.backends,
    "database-restart": database.database_restart,
    "database-path": database.database_path,
    "twilio-path": twilio.twilio_path,
    "simulator-faults": twilio.simulator_faults,
    "twice": twilio.twice,
    "storm-429": twilio.storm_429,
    "list-lag": twilio.list_lag,
    "callbacks": twilio.callbacks,
    "clock": clock.clock,
    "failover": failover.failover,
}
SHORT = [name for name in ALL if name != "self-test"]


def plan(only, short):
    """Groups of scenarios, one after the other; those of one group play at the same time."""
    return [["self-test"], only or SHORT]


def limit(name):
    return 240
