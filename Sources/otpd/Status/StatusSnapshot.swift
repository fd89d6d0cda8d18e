internal import Queue

/// The contents of the status relations at one moment.
struct StatusSnapshot: Sendable {
    struct Queue: Sendable {
        var queued = 0
        var due = 0
        var sending = 0
        var unknown = 0
        var oldestDueSeconds = 0.0
        /// In the last minute, five minutes, hour.
        var accepted = (0, 0, 0)
        var failed = (0, 0, 0)
        /// The share of accepted jobs among those that ended in the last five minutes. Nil when none ended.
        var successShare: Double?
        /// From the request's commit to Twilio's acceptance in the last minute, in ms. Nil when nothing was accepted.
        var latency: (p50: Double, p95: Double, p99: Double)?
        var workersAlive = 0
    }

    /// A channel: its queue, its workers, and what ended by it.
    struct Channel: Equatable, Sendable {
        var name = "sms"
        /// Whether any step of a route uses it.
        var isRouted = false
        var workersAlive = 0
        var queued = 0
        /// In the last minute, five minutes, hour.
        var accepted: [Int] = [0, 0, 0]
        var failed: [Int] = [0, 0, 0]

        /// Whether a route uses it, or a job did within the last hour.
        var isUsed: Bool { isRouted || queued > 0 || accepted[2] > 0 || failed[2] > 0 }
    }

    /// A step of a route that cannot be used at present.
    struct RouteProblem: Equatable, Sendable {
        var purpose = "*"
        var country = "*"
        var step = 1
        var channel = "sms"
        var problem = ""

        /// `step 2 of the route for any purpose, SA`.
        var name: String {
            "step \(step) of the route for \(purpose == "*" ? "any purpose" : purpose), "
                + (country == "*" ? "any country" : country)
        }
    }

    struct Worker: Sendable {
        var id = 0
        var sends = true
        /// The channels that it can send by, such as `sms, whatsapp, call`.
        var channels = ""
        var host = ""
        var pid = 0
        var version = ""
        var state = "running"
        var reason: String?
        var remedy: String?
        var inFlight = 0
        var claimed = 0
        var accepted = 0
        var failed = 0
        var unknown = 0
        var heartbeatSeconds = 0
        var twilio: String?
        var mail: String?
        var database: String?
        /// Counts of status callbacks. Nil when the worker receives none.
        var callbacks: (received: Int, refused: Int, dropped: Int, written: Int)?
        /// Counts of spans. Nil when the worker exports no traces.
        var spans: (exported: Int, dropped: Int, failed: Int)?

        /// Whether it ended without a final heartbeat. Then its other figures are out of date.
        var isDead: Bool { state == "dead" || state != "stopped" && heartbeatSeconds >= 30 }
        var isStopped: Bool { state == "stopped" }
        /// Whether it sends e-mails and nothing else.
        var isForMail: Bool { channels == "email" }
    }

    struct Pause: Sendable {
        var scope = "all"
        var reason = ""
        var remedy: String?
        var seconds = 0
        /// Seconds until the next probe. Nil when there are no probes, or when a probe is being sent.
        var nextProbeSeconds: Int?
        /// How many jobs it holds. Nil for a worker's own pause.
        var held: Int?

        var isOfWorker: Bool { scope.hasPrefix("worker ") }
        /// Whether it holds all sends of all workers. The pause of a used-up budget does, too.
        var isOfEverything: Bool { scope == "all" || scope == "budget" }
    }

    /// A shared limit that is used up, or nearly.
    struct Limit: Equatable, Sendable {
        /// `prefix`, `country`, `total` or `budget`.
        var scope = "total"
        /// The prefix or the country.
        var key: String?
        var periodSeconds = 86_400
        /// A number of sends, or an amount of money, in the database's spelling.
        var allowed = "0"
        var used = "0"
        /// The time until which it is used up, for people. Nil where something is left.
        var usedUpUntil: String?
        var usedUpSeconds: Int?

        /// `country SA`, `total`.
        var name: String { key.map { "\(scope) \($0)" } ?? scope }
        /// `day` or `hour`.
        var period: String { periodSeconds == 3_600 ? "hour" : "day" }
        /// The used share of the limit.
        var share: Double {
            guard let used = Double(used), let allowed = Double(allowed), allowed > 0 else { return 0 }
            return used / allowed
        }
    }

    /// A key whose requests are held back, because codes like theirs are sent and not used.
    struct Hold: Equatable, Sendable {
        var scope = "country"
        var key = ""
        /// Whether requests are refused; otherwise the decision is only recorded (`otp.settings.fraud_action`).
        var isEnforced = true
        var explanation = ""
        var remedy = ""
        var seconds = 0
        /// Texts that were let through in the last hour, and those whose codes were used.
        var letThrough = (sent: 0, used: 0)

        static func == (a: Hold, b: Hold) -> Bool {
            (a.scope, a.key, a.isEnforced, a.explanation, a.remedy, a.seconds)
                == (b.scope, b.key, b.isEnforced, b.explanation, b.remedy, b.seconds) && a.letThrough == b.letThrough
        }

        /// `country SA`, `network 203.0.113.0/24`, `all new networks and numbers`.
        var name: String {
            switch scope {
            case "all": "all new networks and numbers"
            case "no_address":
                key.isEmpty ? "all requests without an address" : "requests without an address, country \(key)"
            case "country": "new networks and numbers, country \(key)"
            default: "\(scope) \(key)"
            }
        }
    }

    /// Requests that a limit refused.
    struct RefusedRequests: Equatable, Sendable {
        var scope = "phone"
        /// Since the schema was created.
        var all = 0
        var lastHour = 0
    }

    /// A send, or a failed send.
    struct Send: Sendable {
        var id = 0
        var phoneNumber = ""
        var channel = "sms"
        var state = ""
        var messageStatus: String?
        var errorCode: Int?
        var error: String?
        var remedy: String?
        var seconds = 0
    }

    /// How many sends ended within five seconds.
    struct FiveSeconds: Sendable {
        /// The number of the step since 1970.
        var step = 0
        var accepted = 0
        var failed = 0
    }

    var queue = Queue()
    var channels: [Channel] = []
    var routeProblems: [RouteProblem] = []
    var workers: [Worker] = []
    var pauses: [Pause] = []
    /// Shared limits. Used-up ones come first.
    var limits: [Limit] = []
    /// The newest come first.
    var holds: [Hold] = []
    var refusals: [RefusedRequests] = []
    var sends: [Send] = []
    var failures: [Send] = []
    var steps: [FiveSeconds] = []
    /// The database's time in seconds since 1970, and as text for people.
    var now = 0.0
    var clock = ""
    /// The database's name.
    var database = ""
    /// The version and the date of the database's table of phone numbers.
    var numbers: String?
    /// How many days ago that table was released. Nil without a table.
    var numbersDays: Int?

    init() {}

    /// The channels in use. Empty while text messages are the only one: then they need no names.
    var channelsInUse: [Channel] {
        let used = channels.filter(\.isUsed)
        return used.contains { $0.name != "sms" } ? used : []
    }

    /// The snapshot from the result of `ReadStatus`.
    init(_ parts: [ReadStatus.Part]) {
        for part in parts {
            for row in part.rows {
                let row = Row(part: part, cells: row)
                switch part.name {
                case "queue_status": queue = Queue(row)
                case "channel_status": channels.append(Channel(row))
                case "route_status": routeProblems.append(RouteProblem(row))
                case "worker_status": workers.append(Worker(row))
                case "pause_status": pauses.append(Pause(row))
                case "limit_status": limits.append(Limit(row))
                case "fraud_status": holds.append(Hold(row))
                case "refusals":
                    refusals.append(
                        RefusedRequests(
                            scope: row.text("scope") ?? "", all: row.int("refused"), lastHour: row.int("refused_1h")))
                case "delivery_status": sends.append(Send(row, age: "requested_seconds"))
                case "failures": failures.append(Send(row, age: "failed_seconds"))
                case "outcome_counts":
                    steps.append(
                        FiveSeconds(step: row.int("step"), accepted: row.int("accepted"), failed: row.int("failed")))
                case "clock":
                    now = row.double("now") ?? 0
                    clock = row.text("clock") ?? ""
                    database = row.text("database") ?? ""
                    numbers = row.text("numbers")
                    numbersDays = row.intIfPresent("numbers_days")
                default: break
                }
            }
        }
    }

    /// Access to a row by the names of its columns.
    struct Row {
        let part: ReadStatus.Part
        let cells: [String?]

        func text(_ name: String) -> String? { part.value(name, of: cells) }
        func intIfPresent(_ name: String) -> Int? { text(name).flatMap { Int($0) } }
        func int(_ name: String) -> Int { intIfPresent(name) ?? 0 }
        func double(_ name: String) -> Double? { text(name).flatMap { Double($0) } }
    }
}

extension StatusSnapshot.Queue {
    fileprivate init(_ row: StatusSnapshot.Row) {
        queued = row.int("queued")
        due = row.int("due")
        sending = row.int("sending")
        unknown = row.int("unknown")
        oldestDueSeconds = row.double("oldest_due_seconds") ?? 0
        accepted = (row.int("accepted_1m"), row.int("accepted_5m"), row.int("accepted_1h"))
        failed = (row.int("failed_1m"), row.int("failed_5m"), row.int("failed_1h"))
        successShare = row.double("success_share")
        if let p50 = row.double("latency_p50_ms"), let p95 = row.double("latency_p95_ms"),
            let p99 = row.double("latency_p99_ms")
        {
            latency = (p50, p95, p99)
        }
        workersAlive = row.int("workers_alive")
    }
}

extension StatusSnapshot.Channel {
    fileprivate init(_ row: StatusSnapshot.Row) {
        name = row.text("channel") ?? ""
        isRouted = row.text("is_routed") == "t"
        workersAlive = row.int("workers_alive")
        queued = row.int("queued")
        accepted = [row.int("accepted_1m"), row.int("accepted_5m"), row.int("accepted_1h")]
        failed = [row.int("failed_1m"), row.int("failed_5m"), row.int("failed_1h")]
    }
}

extension StatusSnapshot.Hold {
    fileprivate init(_ row: StatusSnapshot.Row) {
        scope = row.text("scope") ?? ""
        key = row.text("key") ?? ""
        isEnforced = row.text("is_enforced") == "t"
        explanation = row.text("explanation") ?? ""
        remedy = row.text("remedy") ?? ""
        seconds = row.int("since_seconds")
        letThrough = (row.int("let_through"), row.int("let_through_used"))
    }
}

extension StatusSnapshot.RouteProblem {
    fileprivate init(_ row: StatusSnapshot.Row) {
        purpose = row.text("purpose") ?? "*"
        country = row.text("country") ?? "*"
        step = row.int("step")
        channel = row.text("channel") ?? ""
        problem = row.text("problem") ?? ""
    }
}

extension StatusSnapshot.Worker {
    fileprivate init(_ row: StatusSnapshot.Row) {
        id = row.int("worker")
        sends = row.text("kind") != "callbacks"
        host = row.text("host") ?? ""
        pid = row.int("pid")
        version = row.text("version") ?? ""
        channels = row.text("channels") ?? ""
        state = row.text("state") ?? ""
        reason = row.text("reason")
        remedy = row.text("remedy")
        inFlight = row.int("in_flight")
        claimed = row.int("claimed")
        accepted = row.int("accepted")
        failed = row.int("failed")
        unknown = row.int("unknown")
        heartbeatSeconds = row.int("heartbeat_seconds")
        twilio = row.text("twilio")
        mail = row.text("mail")
        database = row.text("database")
        if let received = row.intIfPresent("callbacks_received") {
            callbacks = (
                received, row.int("callbacks_refused"), row.int("callbacks_dropped"), row.int("callbacks_written")
            )
        }
        if let exported = row.intIfPresent("spans_exported") {
            spans = (exported, row.int("spans_dropped"), row.int("spans_failed"))
        }
    }
}

extension StatusSnapshot.Pause {
    fileprivate init(_ row: StatusSnapshot.Row) {
        scope = row.text("scope") ?? ""
        reason = row.text("reason") ?? ""
        remedy = row.text("remedy")
        seconds = row.int("since_seconds")
        nextProbeSeconds = row.intIfPresent("next_probe_seconds")
        held = row.intIfPresent("held")
    }
}

extension StatusSnapshot.Limit {
    fileprivate init(_ row: StatusSnapshot.Row) {
        scope = row.text("scope") ?? ""
        key = row.text("key")
        periodSeconds = row.int("period_seconds")
        allowed = row.text("allowed") ?? "0"
        used = row.text("used") ?? "0"
        usedUpUntil = row.text("used_up_until")
        usedUpSeconds = row.intIfPresent("used_up_seconds")
    }
}

extension StatusSnapshot.Send {
    fileprivate init(_ row: StatusSnapshot.Row, age: String) {
        id = row.int("send_job_id")
        phoneNumber = row.text("phone_number") ?? "—"
        channel = row.text("channel") ?? ""
        state = row.text("job_state") ?? ""
        messageStatus = row.text("message_status")
        errorCode = row.intIfPresent("error_code")
        error = row.text("error")
        remedy = row.text("remedy")
        seconds = row.int(age)
    }
}
