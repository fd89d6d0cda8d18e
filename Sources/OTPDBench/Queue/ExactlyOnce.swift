/// Checks that every job was sent once and is recorded as accepted.
struct ExactlyOnce: Codable {
    var jobs: Int
    /// Jobs whose number the simulator never received.
    var missing = 0
    /// Messages beyond the first to a number.
    var duplicates = 0
    /// Messages to numbers without a job.
    var foreign = 0
    /// Jobs that ended in another way than accepted, or have not ended.
    var notAccepted: Int

    var isSound: Bool { missing + duplicates + foreign + notAccepted == 0 }
    var words: String {
        isSound ? "yes" : "NO: \(missing) missing, \(duplicates) twice, \(foreign) foreign, \(notAccepted) not accepted"
    }

    /// Compares the simulator's and the database's records of the jobs 0 to `jobs` - 1. The database also has `earlier`
    /// accepted jobs.
    static func check(
        jobs: Int, earlier: Int = 0, simulator: SimulatorClient, database: Database
    ) async throws -> (ExactlyOnce, Arrivals) {
        let endings = try await database.endings()
        var check = ExactlyOnce(jobs: jobs, notAccepted: jobs + earlier - endings.accepted + endings.otherwise)
        var arrivals = Arrivals(at: [Int64?](repeating: nil, count: jobs))
        // More than the number of jobs, so that surplus messages are seen.
        for message in try simulator.inbox(limit: 2 * jobs + 1000) {
            guard message.to.hasPrefix("+96650"), let job = Int(message.to.dropFirst(6)),
                arrivals.at.indices.contains(job)
            else {
                check.foreign += 1
                continue
            }
            // Newest first, so the earliest message of a number remains.
            if arrivals.at[job] != nil { check.duplicates += 1 }
            arrivals.at[job] = message.receivedAt
        }
        check.missing = arrivals.at.count { $0 == nil }
        return (check, arrivals)
    }
}

/// When the simulator received each job's message, in microseconds since the Unix epoch, by job.
struct Arrivals {
    var at: [Int64?]

    var first: Int64 { at.lazy.compactMap { $0 }.min() ?? 0 }
    var last: Int64 { at.lazy.compactMap { $0 }.max() ?? 0 }
    var count: Int { at.count { $0 != nil } }
}
