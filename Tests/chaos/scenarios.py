"""All scenarios by name, and the groups that run together."""
import channels
import clock
import database
import failover
import operators
import recovery
import selftest
import steps
import storm
import surroundings
import twilio
import upgrade

# The slow ones first: they wait for leases and codes to run out while the others work.
ALL = {
    "self-test": selftest.self_test,
    "cut-unsent": twilio.cut_unsent,
    "kill-steps": steps.kill_steps,
    "mix": storm.mix,
    "twilio-path": twilio.twilio_path,
    "simulator-faults": twilio.simulator_faults,
    "clock": clock.clock,
    "stop-steps": steps.stop_steps,
    "callbacks": twilio.callbacks,
    "database-path": database.database_path,
    "database-restart": database.database_restart,
    "channels": channels.channels,
    "channels-resent": channels.channels_resent,
    "failover": failover.failover,
    "forgetful": failover.forgetful,
    "unfenced": failover.unfenced,
    "storm-429": twilio.storm_429,
    "sigterm": database.sigterm,
    "backends": database.backends,
    "list-lag": twilio.list_lag,
    "twice": twilio.twice,
    "kills": storm.kills,
    "outage": storm.outage,
    "poison": storm.poison,
    "recoveries": storm.recoveries,
    "recovery": recovery.recovery,
    "restore": recovery.restore,
    "pg-dump": operators.pg_dump,
    "vacuum-full": operators.vacuum_full,
    "reindex": operators.reindex,
    "cluster": operators.cluster,
    "add-column": operators.add_column,
    "lock-table": operators.lock_table,
    "prune-million": operators.prune_million,
    "no-statistics": operators.no_statistics,
    "immediate": operators.immediate,
    "wal-full": surroundings.wal_full,
    "descriptors": surroundings.descriptors,
    "address-space": surroundings.address_space,
    "clock-ahead": surroundings.clock_ahead,
    "clock-back": surroundings.clock_back,
    "twilio-away": surroundings.twilio_away,
    "wrong-token": surroundings.wrong_token,
    "upgrade": upgrade.upgrade,
}
FIRST = "self-test"
OPERATORS = [
    "pg-dump", "vacuum-full", "reindex", "cluster", "add-column", "lock-table", "prune-million", "no-statistics", "immediate",
    "wal-full", "descriptors", "address-space", "clock-ahead", "clock-back", "twilio-away", "wrong-token"]
GROUPS = {"operators": OPERATORS}
TIMED = ["kills", "outage", "poison", "recoveries", *OPERATORS]
LONG = ["channels-resent", "list-lag", "restore"]
ASKED = ["upgrade"]     # runs only if it is named: it needs an otpd of another version
SHORT = [name for name in ALL if name not in [*TIMED, *LONG, *ASKED, FIRST]]


def plan(only, short):
    """Groups of scenarios, one after the other. The scenarios of one group run at the same time. Timed scenarios run alone."""
    if only:
        return [[name] for name in only if name != FIRST]
    return [SHORT] if short else [SHORT + LONG, *[[name] for name in TIMED]]


def limit(name):
    """Seconds after which a scenario is ended as failed."""
    return 1500 if name in [*TIMED, *ASKED] else 320
