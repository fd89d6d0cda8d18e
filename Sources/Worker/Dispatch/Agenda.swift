import EventLoop
import Queue

/// When the loops of an idle worker next have something to do: pure, told what each heartbeat found and when a loop begins
/// a round.
///
/// While there is work a heartbeat brings no findings, and each loop keeps its own cadence; so it does when findings are
/// older than two heartbeats, since then the database, or the session that beats, is away.
struct Agenda: Sendable {
    /// What a loop does in a round.
    enum Errand: Int, Sendable, CaseIterable { case sweep, look, poll }

    /// How long findings count: two heartbeats and a half.
    static let validity = Instant.Duration.seconds(25)

    private var heardAt: Instant?
    private var due = [Instant?](repeating: nil, count: Errand.allCases.count)
    private var sweepsByCadence = false
    /// Whether a worker may have died that nobody has marked yet.
    private(set) var mayHaveDead = true

    /// A heartbeat was answered; `found` is nil where it did not ask.
    mutating func heard(_ found: Heartbeat.NextWork?, at now: Instant) {
        guard let found else {
            self = Agenda()
            return
        }
        heardAt = now
        // A little later than said: by then the database's clock agrees.
        func at(_ span: Instant.Duration?) -> Instant? { span.map { max(now, now + $0 + .milliseconds(50)) } }
        due[Errand.sweep.rawValue] = found.hasDeadWorker ? now : at(found.nextEnd)
        due[Errand.look.rawValue] = at(found.nextLook)
        due[Errand.poll.rawValue] = at(found.nextPoll)
        sweepsByCadence = found.needsSweeps
        mayHaveDead = found.hasDeadWorker
    }

    /// A round begins: what was due by now is served by it.
    mutating func began(_ errand: Errand, at now: Instant) {
        if let instant = due[errand.rawValue], instant <= now { due[errand.rawValue] = nil }
    }

    /// When the next round is due, where the last began at `began` and the loop's own cadence is `idle`.
    func next(_ errand: Errand, since began: Instant, atMost idle: Instant.Duration) -> Instant {
        guard let heardAt, !(errand == .sweep && sweepsByCadence) else {
            return min(due[errand.rawValue] ?? began + idle, began + idle)
        }
        let unheard = max(heardAt + Self.validity, began + idle)
        return min(due[errand.rawValue] ?? unheard, unheard)
    }
}
