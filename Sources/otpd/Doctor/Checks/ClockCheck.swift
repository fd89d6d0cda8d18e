/// Compares the clocks of this host and of the database. It does not tell which of them is right.
enum ClockCheck {
    static let check = Check("clock", "Clocks")

    /// One sample: this host's clock before and after, and the database's between. Microseconds since the Unix epoch.
    struct Sample: Equatable, Sendable {
        var before: Int64
        var database: Int64
        var after: Int64

        /// How far the database's clock is ahead, in seconds, if question and answer took the same time.
        var skew: Double { Double(database - before - (after - before) / 2) / 1e6 }
        /// The largest error of `skew`, in seconds.
        var uncertainty: Double { Double(max(0, after - before)) / 2e6 }
    }

    static let warnFrom = 1.0
    static let failFrom = 5.0

    /// The finding from the quickest sample, which has the smallest error.
    static func finding(_ samples: [Sample]) -> Finding {
        guard let best = samples.min(by: { $0.uncertainty < $1.uncertainty }) else {
            return check.skip("The database's clock could not be read.")
        }
        let (skew, off) = (best.skew, best.uncertainty)
        let words = "\(Words.seconds(skew)) apart (error: at most \(Words.seconds(off)))"
        let direction =
            "The clock of this host is \(Words.seconds(skew)) \(skew > 0 ? "behind" : "ahead of") the database's (error: "
            + "at most \(Words.seconds(off)))."
        // The round trip may explain a part of the difference.
        let certain = abs(skew) - off
        let remedy =
            "Find the host with the wrong time: timedatectl; chronyc tracking. Then restart its clock service: systemctl "
            + "restart chrony"
        if certain > failFrom {
            return check.fail(
                .configuration, "\(direction) Times in logs and views are wrong, and TLS may fail.", remedy)
        }
        if certain > warnFrom { return check.warn(direction, remedy) }
        return check.pass(words)
    }
}
