/// The steps that lead to a violation.
struct CounterExample: CustomStringConvertible {
    var property: Property
    var steps: [Step]
    /// The state before the first step, and after each step.
    var worlds: [World]

    /// One line for each step: the time, the step, and its changes.
    var description: String {
        var lines = ["\(property), after \(steps.count) steps:"]
        var seconds: Int64 = 0
        for (index, step) in steps.enumerated() {
            if step.kind == .tick || step.kind == .tickOnStoppedClocks {
                seconds += Setup.tick.components.seconds
                // Several equal steps in a row are printed as one line.
                if index + 1 < steps.count, steps[index + 1] == step { continue }
            }
            let before = worlds[index].parts
            let changed = worlds[index + 1].parts.filter { !before.contains($0) }
            let words = step.kind.words.split(separator: "#", omittingEmptySubsequences: false)
                .joined(separator: String(step.subject + 1))
            lines.append("  \(seconds) s\t\(words)\t[\(changed.joined(separator: "; "))]")
        }
        return lines.joined(separator: "\n")
    }
}

extension World {
    /// Each participant as text. Attempts are numbered across jobs.
    fileprivate var parts: [String] {
        var parts: [String] = []
        for job in 0..<World.jobs {
            let row = rows[job]
            var words = "job \(job + 1): \(row.state)"
            switch row.state {
            case .sending: words += ", attempt \(row.attempt), lease \(row.lease * 5) s"
            case .unknown:
                words +=
                    ", attempt \(row.attempt), for \(row.age * 5) s, lookups \(row.lookups), next in \(row.lookupAt * 5) s"
            case .queued, .accepted, .failed, .poisoned, .expired, .canceled: break
            }
            parts.append(words)
        }
        for index in 0..<World.attempts {
            let attempt = attempts[index]
            var words = "attempt \(index + 1): \(attempt.phase)"
            switch attempt.phase {
            case .held, .handedOver, .inTurn:
                words += attempt.trust < 0 ? ", lease over" : ", \(attempt.trust * 5) s left"
            case .none, .fed, .waiting, .unsent, .over: break
            }
            switch attempt.body {
            case .nothing: break
            case .underway: words += ", under way"
            case .accepted(let unlisted): words += unlisted > 0 ? ", at Twilio, unlisted" : ", at Twilio"
            }
            if attempt.phase != .none { words += ", number \(attempt.number)" }
            parts.append(words + (attempt.isRecorded ? ", recorded" : ""))
        }
        for slot in 0..<World.lookups {
            let lookup = lookups[slot]
            parts.append(
                lookup.verdict == .none
                    ? "lookup \(slot + 1) ended"
                    : "lookup \(slot + 1): of job \(lookup.job + 1), attempt \(lookup.attempt): \(lookup.verdict)"
                        + (lookup.isCurrent ? "" : ", stale"))
        }
        if isDead { parts.append("the code is dead") }
        if standby.phase == .behind {
            parts.append("the standby has job 1 as \(standby.row.state), attempt \(standby.row.attempt)")
        }
        return parts
    }
}
