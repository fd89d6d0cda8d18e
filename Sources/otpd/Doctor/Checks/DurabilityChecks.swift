internal import Queue

/// Checks whether committed data survives a crash and a failover.
enum DurabilityChecks {
    static let disk = Check("durability", "Durability")
    static let standby = Check("standby", "Standby")
    static let all = [disk, standby]

    static func disk(_ server: ReadServer.Server, stored: [ReadStoredSettings.Entry]) -> Finding {
        let off = [server.hasFsync ? nil : "fsync", server.hasFullPageWrites ? nil : "full_page_writes"]
            .compactMap { $0 }
        guard off.isEmpty else {
            return disk.warn(
                "With \(off.joined(separator: " and ")) off, a crash of the server's machine may lose or damage "
                    + "committed data.",
                "In psql as a superuser: \(off.map { "ALTER SYSTEM SET \($0) = on;" }.joined(separator: " ")) SELECT "
                    + "pg_reload_conf();")
        }
        // A worker sets synchronous_commit for its own sessions. A backend's commits must survive a crash too.
        let weak = stored.filter {
            $0.name == "synchronous_commit" && $0.isWebTier && ($0.value == "off" || $0.value == "local")
        }
        if let entry = weak.first, let role = entry.role {
            let statement = "ALTER ROLE \(RoleChecks.identifier(role)) RESET synchronous_commit;"
            return disk.warn(
                "synchronous_commit is \(entry.value ?? "") for \(role), so a crash may lose committed requests.",
                "In psql as a superuser: \(statement)")
        }
        guard server.synchronousCommit != "off" else {
            return disk.warn(
                "synchronous_commit is off, so a crash may lose committed requests.",
                "In psql as a superuser: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();")
        }
        return disk.pass("Committed data is on disk (synchronous_commit = \(server.synchronousCommit)).")
    }

    /// Checks the standby. With a synchronous one, a failover loses no request and sends no message twice.
    static func standby(_ server: ReadServer.Server, _ standbys: ReadStandbys.Standbys) -> Finding {
        let names = server.synchronousStandbyNames
        let isWaitedFor = !names.isEmpty
        switch (standbys.streaming, isWaitedFor) {
        case (0, false):
            return standby.pass("There is no standby. If this server is lost, its data is lost.")
        case (0, true):
            return standby.fail(
                .unreachable,
                "Commits wait for a synchronous standby (\(names)), and none is connected. Nothing can be committed.",
                "Start the standby. Or switch synchronous replication off, but then a failover may lose or double "
                    + "messages: ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();")
        case (let count, false):
            return standby.warn(
                "\(count) asynchronous. A failover may lose requests, and may send a few messages twice.",
                "In psql as a superuser: ALTER SYSTEM SET synchronous_standby_names = "
                    + "'FIRST 1 (\(standbys.name ?? "*"))'; SELECT pg_reload_conf();")
        case (_, true) where server.synchronousCommit == "local" || server.synchronousCommit == "off":
            return standby.warn(
                "A standby is synchronous, but backends do not wait for it (synchronous_commit = "
                    + "\(server.synchronousCommit)).",
                "In psql as a superuser: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();")
        case (let count, true):
            guard standbys.isVisible else {
                return standby.pass(
                    "\(count) connected. By the settings, \(names) is synchronous. This role may not see its state, which "
                        + "needs the role pg_read_all_stats.")
            }
            guard standbys.synchronous > 0 else {
                return standby.fail(
                    .unreachable,
                    "\(count) connected, but none is the synchronous standby (\(names)). Commits wait for it.",
                    "Start the standby of that name. Or correct synchronous_standby_names: SELECT application_name FROM "
                        + "pg_stat_replication;")
            }
            return standby.pass("\(standbys.synchronous) of \(count) synchronous")
        }
    }
}
