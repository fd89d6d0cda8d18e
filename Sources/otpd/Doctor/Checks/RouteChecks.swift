internal import Queue

/// Checks that each step of each route can be used: its channel has what it needs, and a running worker serves it.
enum RouteChecks {
    static let check = Check("routes", "Routes")

    static func findings(_ steps: [ReadRoutes.Step]) -> [Finding] {
        guard !steps.isEmpty else {
            return [
                check.fail(
                    .configuration, "otp.routes is empty, so every request without a channel is refused.",
                    "INSERT INTO otp.routes (step, channel) VALUES (1, 'sms');")
            ]
        }
        let problems = steps.compactMap { step -> Finding? in
            guard let problem = step.problem else { return nil }
            return check.fail(
                .configuration, "Step \(step.step) (\(step.channel)) of the route for \(words(step)) cannot be used.",
                problem)
        }
        guard problems.isEmpty else { return problems }
        let channels = Set(steps.map(\.channel)).sorted().joined(separator: ", ")
        return [check.pass("\(steps.count == 1 ? "1 step" : "\(steps.count) steps"), by \(channels)")]
    }

    private static func words(_ step: ReadRoutes.Step) -> String {
        switch (step.purpose, step.country) {
        case ("*", "*"): "all codes"
        case (let purpose, "*"): purpose
        case ("*", let country): country
        case (let purpose, let country): "\(purpose) in \(country)"
        }
    }
}
