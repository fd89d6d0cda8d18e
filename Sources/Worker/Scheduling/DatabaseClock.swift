import EventLoop

/// Notices that the database's clock jumps: somebody set it, its host synchronized late, or another server answers. Pure,
/// told what each heartbeat read. Compares the clock with the time since boot of this machine, which no one can set.
struct DatabaseClock: Sendable {
    /// The smallest jump that counts. A synchronized clock is corrected in smaller steps.
    static let least = Instant.Duration.seconds(2)

    /// A clock that was read, in microseconds since the Unix epoch, at some time between two instants.
    private var last: (clock: Int64, asked: Instant, answered: Instant)?

    /// The database said `clock` to a request. How far its clock has jumped since the last one, at least: positive if it
    /// went ahead. Nil if it did not jump.
    mutating func read(_ clock: Int64, asked: Instant, answered: Instant) -> Instant.Duration? {
        defer { last = (clock, asked, answered) }
        guard let last else { return nil }
        let passed = (clock &- last.clock) &* 1000
        let (shortest, longest) = ((asked - last.answered).nanoseconds, (answered - last.asked).nanoseconds)
        let jump = passed > longest ? passed &- longest : passed < shortest ? passed &- shortest : 0
        return jump.magnitude < Self.least.nanoseconds.magnitude ? nil : Instant.Duration(nanoseconds: jump)
    }
}
