import EventLoop

/// How many jobs of a kind a sweep takes, and which it leaves out, so that a job that the database refuses holds up no
/// other: a refused sweep is halved until it takes one job of a kind, and that one is left out for a minute. Pure.
struct SweepSize {
    static let most = 500
    static let leftOutFor = Instant.Duration.seconds(60)

    private(set) var limit = most
    private var leftOut: [(job: Int64, until: Instant)] = []

    /// The jobs that are left out now.
    mutating func excluded(at now: Instant) -> [Int64] {
        leftOut.removeAll { $0.until <= now }
        return leftOut.map(\.job)
    }

    mutating func swept() { limit = min(limit * 2, Self.most) }

    /// A sweep was refused; whether it took one job of a kind, so that the job at fault can be told.
    mutating func refused() -> Bool {
        defer { limit = max(1, limit / 2) }
        return limit == 1
    }

    /// These are left out.
    mutating func leaveOut(_ jobs: [Int64], at now: Instant) {
        leftOut = (leftOut + jobs.map { ($0, now + Self.leftOutFor) }).suffix(1000)
    }
}
