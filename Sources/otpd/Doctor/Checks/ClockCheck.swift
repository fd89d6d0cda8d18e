/// The clocks of this host and of the database. Which of them is right is not asked: that is NTP's.
enum ClockCheck {
    static let check = Check("clock", "Clocks")

    /// One look: this host's clock before and after, the database's in between; microseconds since the Unix epoch.
    struct Sample: Equatable, Sendable {
        var before: Int64
        var database: Int64
        var after: Int64

        /// How far the database's clock is ahead, in seconds, if both ways took the same time.
        var skew: Double { Double(database - before - (after - before) / 2) / 1e6 }
        /// How far that can be off, in seconds.
        var uncertainty: Double { Double(max(0, after - before)) / 2e6 }
    }

    static let warnFrom = 1.0
    static let failFrom = 5.0

    /// By the quickest look, which is off the least.
    static func finding(_ samples: [Sample]) -> Finding {
        guard let best = samples.min(by: { $0.uncertainty < $1.uncertainty }) else {
            return check.skip("the database's clock could not be read")
        }
        let (skew, off) = (best.skew, best.uncertainty)
        let words = "\(Words.seconds(skew)) apart, give or take \(Words.seconds(off))"
        let direction = skew > 0 ? "this host's is behind" : "this host's is ahead"
        // What the round trip may explain is not held against them.
        let certain = abs(skew) - off
        let remedy =
            "See which of the two hosts is wrong: timedatectl, chronyc tracking; then: systemctl restart chrony"
        if certain > failFrom {
            return check.fail(
                .configuration, "\(words); \(direction): times in logs and views mislead, and TLS may fail", remedy)
        }
        if certain > warnFrom { return check.warn("\(words); \(direction)", remedy) }
        return check.pass(words)
    }
}
