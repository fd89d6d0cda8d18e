/// The callbacks of a message or a call and their times, with the configured disorder.
enum CallbackSchedule {
    /// How often callbacks are lost, duplicated or reversed: shares from 0 to 1.
    struct Disorder: Equatable {
        var lost = 0.0
        var duplicated = 0.0
        var reversed = 0.0
    }

    /// The callbacks of a message: every status but the first.
    static func plan(
        _ timeline: StatusTimeline, disorder: Disorder, using random: inout some RandomNumberGenerator
    ) -> [TimedStatus<MessageStatus>] {
        plan(Array(timeline.steps.dropFirst()), disorder: disorder, using: &random)
    }

    /// A callback for each of these statuses.
    static func plan<Status>(
        _ steps: [TimedStatus<Status>], disorder: Disorder, using random: inout some RandomNumberGenerator
    ) -> [TimedStatus<Status>] {
        var statuses = steps.map(\.status)
        if chance(disorder.reversed, &random) { statuses.reverse() }
        var planned: [TimedStatus<Status>] = []
        for (status, step) in zip(statuses, steps) where !chance(disorder.lost, &random) {
            let callback = TimedStatus(status: status, afterMilliseconds: step.afterMilliseconds)
            planned.append(callback)
            if chance(disorder.duplicated, &random) { planned.append(callback) }
        }
        return planned
    }

    private static func chance(_ share: Double, _ random: inout some RandomNumberGenerator) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &random) < share
    }
}
