internal import Queue

/// Whether what is committed stays, through a crash and through a failover.
enum DurabilityChecks {
    static let disk = Check("durability", "Durability")
    static let standby = Check("standby", "Standby")
    static let all = [disk, standby]

    static func disk(_ server: ReadServer.Server, stored: [ReadStoredSettings.Entry]) -> Finding {
        let off = [server.hasFsync ? nil : "fsync", server.hasFullPageWrites ? nil : "full_page_writes"]
            .compactMap { $0 }
        guard off.isEmpty else {
            return disk.warn(
                "\(off.joined(separator: " and ")) off: a crash of the server's machine may lose or break what was committed",
                "In psql as a superuser: \(off.map { "ALTER SYSTEM SET \($0) = on;" }.joined(separator: " ")) SELECT "
                    + "pg_reload_conf();")
        }
        // A worker sets it for itself; what a backend commits must stay too.
        let weak = stored.filter {
            $0.name == "synchronous_commit" && $0.isWebTier && ($0.value == "off" || $0.value == "local")
        }
        if let entry = weak.first, let role = entry.role {
            let statement = "ALTER ROLE \(RoleChecks.identifier(role)) RESET synchronous_commit;"
            return disk.warn(
                "synchronous_commit is \(entry.value ?? "") for \(role): a request that was committed may be lost",
                "In psql as a superuser: \(statement)")
        }
        guard server.synchronousCommit != "off" else {
            return disk.warn(
                "synchronous_commit is off: a request that a backend has committed may be lost in a crash",
                "In psql as a superuser: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();")
        }
        return disk.pass("what is committed is on disk (synchronous_commit = \(server.synchronousCommit))")
    }

    /// No job is lost and no code is sent twice across a failover, provided that the standby is synchronous.
    static func standby(_ server: ReadServer.Server, _ standbys: ReadStandbys.Standbys) -> Finding {
        let names = server.synchronousStandbyNames
        let isWaitedFor = !names.isEmpty
        switch (standbys.streaming, isWaitedFor) {
        case (0, false):
            return standby.pass("none: nothing to fail over to; if this server is lost, so is what it had")
        case (0, true):
            return standby.fail(
                .unreachable,
                "commits wait for a synchronous standby (\(names)) and none is connected: nothing can be committed",
                "Start the standby. Or, knowing that a failover then may lose or double messages: ALTER SYSTEM SET "
                    + "synchronous_standby_names = ''; SELECT pg_reload_conf();")
        case (let count, false):
            return standby.warn(
                "\(count) asynchronous: a failover may lose requests, and send messages twice whose sending it had not "
                    + "heard of",
                "In psql as a superuser: ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (\(standbys.name ?? "*"))'; "
                    + "SELECT pg_reload_conf();")
        case (_, true) where server.synchronousCommit == "local" || server.synchronousCommit == "off":
            return standby.warn(
                "a standby is synchronous, but with synchronous_commit = \(server.synchronousCommit) backends do not wait "
                    + "for it",
                "In psql as a superuser: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();")
        case (let count, true):
            guard standbys.isVisible else {
                return standby.pass(
                    "\(count) connected, \(names) synchronous by the settings; this role may not see whether it is in step "
                        + "(GRANT pg_read_all_stats)")
            }
            guard standbys.synchronous > 0 else {
                return standby.fail(
                    .unreachable, "\(count) connected, none is the synchronous one (\(names)): commits wait for it",
                    "Start the standby of that name, or correct synchronous_standby_names (see application_name in "
                        + "pg_stat_replication).")
            }
            return standby.pass("synchronous: \(standbys.synchronous) of \(count)")
        }
    }
}
