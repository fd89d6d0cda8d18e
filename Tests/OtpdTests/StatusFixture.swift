@testable import otpd

/// Snapshots for the status's tests.
enum StatusFixture {
    static func worker(
        _ id: Int, host: String = "web-1", state: String = "running", seconds: Int = 3, sends: Bool = true
    ) -> StatusSnapshot.Worker {
        var worker = StatusSnapshot.Worker()
        (worker.id, worker.host, worker.pid, worker.state) = (id, host, 1000 + id, state)
        (worker.heartbeatSeconds, worker.sends) = (seconds, sends)
        (worker.inFlight, worker.accepted, worker.failed) = (id % 7, id * 1_000, id % 3)
        worker.database = "connected"
        return worker
    }

    static func failure(
        _ id: Int, error: String, remedy: String, code: Int? = 21610, seconds: Int = 40
    ) -> StatusSnapshot.Send {
        var send = StatusSnapshot.Send()
        (send.id, send.phoneNumber, send.state, send.errorCode) = (id, "+9665•••••567", "failed", code)
        (send.error, send.remedy, send.seconds) = (error, remedy, seconds)
        return send
    }

    /// Two workers, sends of some minutes, nothing wrong.
    static var working: StatusSnapshot {
        var snapshot = StatusSnapshot()
        snapshot.queue.queued = 12
        snapshot.queue.due = 3
        snapshot.queue.sending = 4
        snapshot.queue.oldestDueSeconds = 1.4
        snapshot.queue.accepted = (1_204, 5_003, 60_233)
        snapshot.queue.failed = (0, 2, 41)
        snapshot.queue.successShare = 0.9996
        snapshot.queue.latency = (48.2, 95.4, 1_240)
        snapshot.queue.workersAlive = 2
        snapshot.workers = [worker(8), worker(7, host: "web-2")]
        snapshot.now = 1_000_000
        snapshot.clock = "22:41:07 UTC"
        snapshot.database = "app"
        snapshot.steps = (0..<60).map { index in
            var step = StatusSnapshot.FiveSeconds()
            (step.step, step.accepted) = (200_000 - 60 + index, index % 12 * 10)
            return step
        }
        var sent = StatusSnapshot.Send()
        (sent.id, sent.phoneNumber, sent.state, sent.messageStatus) = (901, "+9665•••••001", "accepted", "delivered")
        sent.seconds = 2
        snapshot.sends = [sent]
        return snapshot
    }

    /// A country is paused, a worker has died, and sends failed.
    static var troubled: StatusSnapshot {
        var snapshot = working
        snapshot.workers.append(worker(5, host: "web-3", state: "dead", seconds: 40))
        var pause = StatusSnapshot.Pause()
        (pause.scope, pause.seconds, pause.held, pause.nextProbeSeconds) = ("country SA", 250, 12, 20)
        pause.reason = "Twilio may not send to this country: it is not enabled in the account's geo permissions."
        pause.remedy = "Enable it in the Twilio Console: Messaging, Settings, Geo permissions."
        snapshot.pauses = [pause]
        snapshot.failures = [
            failure(
                900, error: "The user has answered STOP to this sender.",
                remedy: "Ask the user to send START to it, or use another sender."),
            failure(899, error: "رقم الهاتف غير صالح", remedy: "اطلب من المستخدم رقمًا آخر", code: 21211, seconds: 400),
        ]
        return snapshot
    }

    /// A country's limit is used up, another one nearly; requests were refused.
    static var limited: StatusSnapshot {
        var snapshot = working
        var limit = StatusSnapshot.Limit()
        (limit.scope, limit.key, limit.allowed, limit.used) = ("country", "SA", "500", "500")
        (limit.usedUpUntil, limit.usedUpSeconds) = ("2026-11-30 00:00:00+03", 7_200)
        var other = StatusSnapshot.Limit()
        (other.scope, other.allowed, other.used, other.periodSeconds) = ("total", "1000", "850", 3_600)
        snapshot.limits = [limit, other]
        snapshot.refusals = [
            StatusSnapshot.RefusedRequests(scope: "country", all: 1_200, lastHour: 40),
            StatusSnapshot.RefusedRequests(scope: "phone", all: 7, lastHour: 0),
        ]
        return snapshot
    }

    /// A country whose codes are not used, and a network that is only observed.
    static var held: StatusSnapshot {
        var snapshot = working
        var country = StatusSnapshot.Hold()
        (country.scope, country.key, country.seconds, country.letThrough) = ("country", "SA", 720, (25, 3))
        country.explanation = "31 texts are out whose codes were not used; 30 are allowed."
        country.remedy = "It ends by itself when codes are used again."
        var network = country
        (network.scope, network.key, network.isEnforced) = ("network", "203.0.113.0/24", false)
        snapshot.holds = [country, network]
        return snapshot
    }

    /// A route from text messages to calls to e-mails. Its calls are paused, and no worker sends e-mails.
    static var routed: StatusSnapshot {
        var snapshot = working
        func channel(_ name: String, _ isRouted: Bool, _ queued: Int, _ accepted: [Int], _ failed: [Int])
            -> StatusSnapshot.Channel
        {
            var channel = StatusSnapshot.Channel()
            (channel.name, channel.isRouted, channel.workersAlive) = (name, isRouted, name == "email" ? 0 : 2)
            (channel.queued, channel.accepted, channel.failed) = (queued, accepted, failed)
            return channel
        }
        snapshot.channels = [
            channel("sms", true, 8, [1_190, 4_900, 60_000], [0, 1, 30]),
            channel("whatsapp", false, 0, [0, 0, 0], [0, 0, 0]),
            channel("call", true, 4, [14, 103, 233], [0, 1, 11]), channel("email", true, 0, [0, 0, 0], [0, 0, 0]),
        ]
        snapshot.routeProblems = [
            StatusSnapshot.RouteProblem(
                purpose: "*", country: "SA", step: 3, channel: "email",
                problem: "No running worker can send by email: set OTPD_SMTP_URL and OTPD_MAIL_FROM.")
        ]
        snapshot.sends[0].channel = "call"
        snapshot.workers[1].channels = "email"
        return snapshot
    }

    static func view(_ snapshot: StatusSnapshot, interval: Double? = 2) -> StatusView {
        var view = StatusView(snapshot: snapshot, database: "db.example:5432", interval: interval)
        view.history.add(snapshot)
        return view
    }
}
