internal import Queue

/// Checks whether committed data survives a crash and a failover.
enum DurabilityChecks {
    static let disk = Check("durability", "Durability")
    static let standby = Check("standby", "Standby")
    static let all = [disk, standby]

    static func disk(_ server: ReadServer.Server, stored: [ReadStoredSettings.Entry]) -> Finding {
        let remedies = Remedies(server.provider, database: server.database)
        let off = [server.hasFsync ? nil : "fsync", server.hasFullPageWrites ? nil : "full_page_writes"]
            .compactMap { $0 }
        // Neon and Aurora write to a storage service, for which these settings mean nothing.
        let hasOwnStorage = server.provider == .neon || server.provider == .aurora
        guard off.isEmpty || hasOwnStorage else {
            let names = off.joined(separator: " and ")
            let statements = off.map { "ALTER SYSTEM SET \($0) = on;" }.joined(separator: " ")
            return disk.warn(
                "With \(names) off, a crash of the server's machine may lose or damage committed data.",
                server.provider.map { "You cannot set \(names) at \($0.name). Ask its support." }
                    ?? remedies.administrator("\(statements) SELECT pg_reload_conf();"))
        }
        // A worker sets synchronous_commit for its own sessions. A backend's commits must survive a crash too.
        let weak = stored.filter {
            $0.name == "synchronous_commit" && $0.isWebTier && ($0.value == "off" || $0.value == "local")
        }
        if let entry = weak.first, let role = entry.role {
            let statement = "ALTER ROLE \(Remedies.identifier(role)) RESET synchronous_commit;"
            return disk.warn(
                "synchronous_commit is \(entry.value ?? "") for \(role), so a crash may lose committed requests.",
                remedies.administrator(statement))
        }
        guard server.synchronousCommit != "off" else {
            return disk.warn(
                "synchronous_commit is off, so a crash may lose committed requests.",
                remedies.sessions("synchronous_commit", "on"))
        }
        return disk.pass("Committed data is on disk (synchronous_commit = \(server.synchronousCommit)).")
    }

    /// Checks the standby. With a synchronous one, a failover loses no request and sends no message twice.
    static func standby(_ server: ReadServer.Server, _ standbys: ReadStandbys.Standbys) -> Finding {
        let names = server.synchronousStandbyNames
        let isWaitedFor = !names.isEmpty
        if let provider = server.provider { return atProvider(provider, standbys) }
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
                Remedies().parameters(["synchronous_standby_names": "'FIRST 1 (\(standbys.name ?? "*"))'"]))
        case (_, true) where server.synchronousCommit == "local" || server.synchronousCommit == "off":
            return standby.warn(
                "A standby is synchronous, but backends do not wait for it (synchronous_commit = "
                    + "\(server.synchronousCommit)).",
                Remedies().parameters(["synchronous_commit": "on"]))
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

    /// The provider keeps copies of the data that SQL does not show. Only its own failover is sure to use them.
    private static func atProvider(_ provider: DatabaseProvider, _ standbys: ReadStandbys.Standbys) -> Finding {
        let receivers = standbys.streaming == 0 ? "" : " SQL shows \(standbys.streaming) receivers."
        return standby.pass(
            "\(provider.name) keeps its copies by itself, which SQL does not show.\(receivers) A read replica may lack "
                + "the newest requests.")
    }
}
