/// Writes metrics in Prometheus's text format, version 0.0.4. Pure. Alerts and panels use these names
/// (deploy/prometheus), so a change must be made there too.
struct Metrics {
    private var text = ""

    /// The text of `/metrics`. While the database is unreachable, `snapshot` is nil, and the text says only that.
    static func text(_ snapshot: StatusSnapshot?, _ history: DashboardHistory?, refusedTokens: Int) -> String {
        var metrics = Metrics()
        metrics.family(
            "otpd_build_info", "gauge", "The version of otpd that serves the metrics. The value is always 1.",
            [
                ([("version", Version.number)], "1")
            ])
        metrics.family(
            "otpd_database_up", "gauge",
            "Whether the database answers. While it is 0, the metrics from the database are missing.",
            [
                ([], snapshot == nil || history == nil ? "0" : "1")
            ])
        guard let snapshot, let history else { return metrics.text }
        metrics.queue(snapshot.queue)
        metrics.channels(snapshot, history)
        metrics.workers(snapshot.workers)
        metrics.pauses(snapshot.pauses)
        metrics.limits(snapshot)
        metrics.money(history.spend)
        metrics.family(
            "otpd_number_table_age_seconds", "gauge", "The time since the release of the table of phone numbers.",
            snapshot.numbersDays.map { [([], "\($0 * 86_400)")] } ?? [])
        metrics.family(
            "otpd_sent_twice_total", "counter", "Second messages of one send job: users got a code twice.",
            [
                ([], "\(history.sentTwice)")
            ])
        metrics.family(
            "otpd_feedback_total", "counter",
            "Verified codes by what became of the feedback to Twilio (otp.settings.message_feedback).",
            history.feedback.map { ([("outcome", $0.outcome)], "\($0.codes)") })
        metrics.family(
            "otpd_risk_checks_total", "counter",
            "Phone numbers that were looked up before a suspicious text (otp.settings.lookup_suspicious), by outcome.",
            history.riskChecks.map { ([("outcome", $0.outcome)], "\($0.checks)") })
        metrics.family(
            "otpd_dashboard_refused_total", "counter", "Requests with a wrong token, since this process started.",
            [([], "\(refusedTokens)")])
        return metrics.text
    }

    private typealias Sample = (labels: [(String, String)], value: String)

    private mutating func queue(_ queue: StatusSnapshot.Queue) {
        family(
            "otpd_queue_jobs", "gauge", "Send jobs by state. The due jobs are a part of the queued jobs.",
            [
                ([("state", "queued")], "\(queue.queued)"), ([("state", "due")], "\(queue.due)"),
                ([("state", "sending")], "\(queue.sending)"), ([("state", "unknown")], "\(queue.unknown)"),
            ])
        family(
            "otpd_queue_oldest_due_seconds", "gauge", "How long the oldest due job has been due.",
            [
                ([], Self.number(queue.oldestDueSeconds))
            ])
        family(
            "otpd_workers_alive", "gauge", "Workers whose last heartbeat is younger than 30 seconds.",
            [
                ([], "\(queue.workersAlive)")
            ])
        for (name, words, accepted, failed) in [
            ("1m", "minute", queue.accepted.0, queue.failed.0),
            ("5m", "five minutes", queue.accepted.1, queue.failed.1),
            ("1h", "hour", queue.accepted.2, queue.failed.2),
        ] {
            family(
                "otpd_ended_\(name)", "gauge", "Send jobs that ended in the last \(words), by outcome.",
                [
                    ([("outcome", "accepted")], "\(accepted)"), ([("outcome", "failed")], "\(failed)"),
                ])
        }
        if let latency = queue.latency {
            family(
                "otpd_latency_seconds", "summary",
                "From the request's commit to Twilio's acceptance, in the last minute.",
                [
                    ([("quantile", "0.5")], Self.number(latency.p50 / 1_000)),
                    ([("quantile", "0.95")], Self.number(latency.p95 / 1_000)),
                    ([("quantile", "0.99")], Self.number(latency.p99 / 1_000)),
                ])
        }
    }

    /// One series per channel, used or not, so that no series begins or ends with its first or last job.
    private mutating func channels(_ snapshot: StatusSnapshot, _ history: DashboardHistory) {
        let channels = snapshot.channels
        family(
            "otpd_channel_queued_jobs", "gauge", "Queued send jobs by channel.",
            channels.map { ([("channel", $0.name)], "\($0.queued)") })
        family(
            "otpd_channel_workers_alive", "gauge", "Living workers that can send by the channel.",
            channels.map { ([("channel", $0.name)], "\($0.workersAlive)") })
        for (index, name, words) in [(1, "5m", "five minutes"), (2, "1h", "hour")] {
            family(
                "otpd_channel_ended_\(name)", "gauge",
                "Send jobs that ended in the last \(words), by channel and outcome.",
                channels.flatMap { channel in
                    [("accepted", channel.accepted[index]), ("failed", channel.failed[index])].map {
                        ([("channel", channel.name), ("outcome", $0.0)], "\($0.1)")
                    }
                })
        }
        func counts(_ name: String, _ help: String, _ value: (DashboardHistory.Channel) -> Int) {
            family(
                "otpd_channel_\(name)_1h", "gauge", help,
                channels.map { channel in
                    let row = history.channels.first { $0.channel == channel.name }
                    return ([("channel", channel.name)], "\(row.map(value) ?? 0)")
                })
        }
        counts("messages", "Messages, calls and e-mails of the last hour, by channel.", \.messages)
        counts("delivered", "Those of them that were delivered or read.", \.delivered)
        counts("undelivered", "Those of them that did not arrive.", \.undelivered)
        counts("verified", "Those of them whose codes were verified before a later step began.", \.verified)
        family(
            "otpd_channel_spend_today", "gauge",
            "The cost of today's messages by channel: billed, and expected for messages without a price.",
            history.channelSpend.flatMap { spend in
                [("billed", spend.billed), ("expected", spend.expected)].map {
                    ([("channel", spend.channel), ("kind", $0.0), ("currency", spend.currency)], $0.1)
                }
            })
        family(
            "otpd_route_problems", "gauge", "Steps of routes (otp.routes) that cannot be used at present.",
            [([], "\(snapshot.routeProblems.count)")])
        family(
            "otpd_fraud_holds", "gauge",
            "Keys whose requests are held back, because codes like theirs are not used (otp.fraud_status), by scope.",
            ["network", "asn", "block", "country", "no_address", "all"].map { scope in
                ([("scope", scope)], "\(snapshot.holds.count { $0.scope == scope && $0.isEnforced })")
            })
    }

    private mutating func workers(_ all: [StatusSnapshot.Worker]) {
        func labels(_ worker: StatusSnapshot.Worker) -> [(String, String)] {
            [("worker", "\(worker.id)"), ("host", worker.host)]
        }
        let workers = all.filter(\.sends)
        family(
            "otpd_worker_up", "gauge",
            "1 if the worker is alive, 0 if its heartbeats ended within the last hour. Stopped workers are left out.",
            workers.filter { !$0.isStopped }.map { (labels($0), $0.isDead ? "0" : "1") })
        family(
            "otpd_worker_sends_total", "counter", "Sends of a worker since it started, by outcome.",
            workers.flatMap { worker in
                [("accepted", worker.accepted), ("failed", worker.failed), ("unknown", worker.unknown)].map {
                    (labels(worker) + [("outcome", $0.0)], "\($0.1)")
                }
            })
        family(
            "otpd_worker_claims_total", "counter", "Send jobs that a worker claimed since it started.",
            workers.map { (labels($0), "\($0.claimed)") })
        family(
            "otpd_worker_in_flight", "gauge", "Requests to Twilio that wait for their answer.",
            workers.map { (labels($0), $0.isDead || $0.isStopped ? "0" : "\($0.inFlight)") })
        family(
            "otpd_worker_callbacks_total", "counter", "Status callbacks since the process started, by result.",
            all.flatMap { worker in
                guard let callbacks = worker.callbacks else { return [Sample]() }
                return [
                    ("received", callbacks.received), ("refused", callbacks.refused), ("dropped", callbacks.dropped),
                    ("written", callbacks.written),
                ].map { (labels(worker) + [("result", $0.0)], "\($0.1)") }
            })
        family(
            "otpd_worker_spans_total", "counter", "Spans of traces since the process started, by result.",
            all.flatMap { worker in
                guard let spans = worker.spans else { return [Sample]() }
                return [("exported", spans.exported), ("dropped", spans.dropped), ("failed", spans.failed)].map {
                    (labels(worker) + [("result", $0.0)], "\($0.1)")
                }
            })
    }

    private mutating func pauses(_ pauses: [StatusSnapshot.Pause]) {
        family("otpd_pauses", "gauge", "Pauses in force.", [([], "\(pauses.count)")])
        family(
            "otpd_paused", "gauge", "1 for each pause in force, by its scope.",
            pauses.map { pause in
                let parts = pause.scope.split(separator: " ", maxSplits: 1)
                return ([("scope", String(parts.first ?? "")), ("key", parts.count > 1 ? String(parts[1]) : "")], "1")
            })
    }

    private mutating func limits(_ snapshot: StatusSnapshot) {
        family(
            "otpd_limits_used_up", "gauge", "Shared limits (otp.limits) that are used up.",
            [([], "\(snapshot.limits.count { $0.usedUpUntil != nil })")])
        family(
            "otpd_limit_used_up", "gauge", "1 for each shared limit that is used up.",
            snapshot.limits.filter { $0.usedUpUntil != nil }.map {
                ([("scope", $0.scope), ("key", $0.key ?? ""), ("period", $0.period)], "1")
            })
        family(
            "otpd_requests_refused_total", "counter", "Requests that otp.limits refused (OT001), by the limit's scope.",
            snapshot.refusals.map { ([("scope", $0.scope)], "\($0.all)") })
    }

    private mutating func money(_ spend: [DashboardHistory.Spend]) {
        family(
            "otpd_spend_today", "gauge",
            "The cost of today's messages: billed by Twilio, and expected for messages without a price.",
            spend.flatMap { spend in
                [("billed", spend.billed), ("expected", spend.expected)].map {
                    ([("kind", $0.0), ("currency", spend.currency)], $0.1)
                }
            })
        family(
            "otpd_budget_today", "gauge", "The budget for today's messages (otp.settings.daily_budget).",
            spend.compactMap { spend in spend.budget.map { ([("currency", spend.currency)], $0) } })
    }

    /// Writes one metric with its samples. It writes nothing without samples.
    private mutating func family(_ name: String, _ type: String, _ help: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for (labels, value) in samples {
            text += name
            if !labels.isEmpty {
                text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
            }
            text += " \(value)\n"
        }
    }

    /// A label's value with backslash, quote and line feed escaped.
    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(character)
            }
        }
        return text
    }

    private static func number(_ value: Double) -> String { value.isFinite ? "\(value)" : "NaN" }
}
