/// The JSON that the page's script reads. Pure.
enum DashboardJSON {
    /// `/api/status.json`.
    ///
    /// - Parameters:
    ///   - host: the machine that serves the page.
    ///   - server: the host and port of the database.
    static func status(_ snapshot: StatusSnapshot, host: String, server: String) -> JSON {
        let queue = snapshot.queue
        let verdict = StatusVerdict.of(snapshot)
        return .object([
            ("version", .string(Version.number)), ("numbers", .text(snapshot.numbers)),
            ("host", .string(SingleLine.escaped(host))),
            ("database", .string(SingleLine.escaped(snapshot.database))),
            ("server", .string(SingleLine.escaped(server))),
            ("clock", .string(snapshot.clock)), ("now", .int(Int(snapshot.now))),
            (
                "verdict",
                .object([
                    ("level", .string("\(verdict.level)")), ("headline", .string(verdict.headline)),
                    ("detail", .text(verdict.detail)), ("remedy", .text(verdict.remedy)),
                ])
            ),
            (
                "queue",
                .object([
                    ("queued", .int(queue.queued)), ("due", .int(queue.due)), ("sending", .int(queue.sending)),
                    ("unknown", .int(queue.unknown)), ("oldestDueSeconds", .double(queue.oldestDueSeconds)),
                    ("accepted", .array([.int(queue.accepted.0), .int(queue.accepted.1), .int(queue.accepted.2)])),
                    ("failed", .array([.int(queue.failed.0), .int(queue.failed.1), .int(queue.failed.2)])),
                    ("successShare", .optional(queue.successShare)), ("p50", .optional(queue.latency?.p50)),
                    ("p95", .optional(queue.latency?.p95)), ("p99", .optional(queue.latency?.p99)),
                    ("workersAlive", .int(queue.workersAlive)),
                ])
            ),
            ("channels", .array(snapshot.channels.map { channel($0, snapshot) })),
            ("workers", .array(snapshot.workers.map(worker))), ("pauses", .array(snapshot.pauses.map(pause))),
            ("holds", .array(snapshot.holds.map(hold))), ("limits", .array(snapshot.limits.map(limit))),
            (
                "refusals",
                .array(
                    snapshot.refusals.map {
                        .object([
                            ("scope", .string($0.scope)), ("all", .int($0.all)), ("lastHour", .int($0.lastHour)),
                        ])
                    })
            ),
            ("failures", .array(snapshot.failures.map(failure))),
        ])
    }

    /// `/api/history.json`: columns of numbers, each as long as `at`.
    static func history(_ history: DashboardHistory, isDay: Bool) -> JSON {
        let points = history.points
        let step = isDay ? 300 : 60
        func column(_ value: (DashboardHistory.Point) -> JSON) -> JSON { .array(points.map(value)) }
        func perSecond(_ count: Int, _ minutes: Int) -> JSON {
            .double((Double(count) / Double(max(1, minutes) * 60) * 1_000).rounded() / 1_000)
        }
        func milliseconds(_ value: Double?) -> JSON { .optional(value.map { $0.rounded() }) }
        return .object([
            ("now", .int(history.now)), ("step", .int(step)), ("length", .int(isDay ? 288 : 60)),
            ("at", column { .int($0.at) }), ("queued", column { .int($0.queued) }), ("due", column { .int($0.due) }),
            ("oldest", column { .double(($0.oldest * 10).rounded() / 10) }),
            ("accepted", column { perSecond($0.accepted, $0.minutes) }),
            ("failed", column { perSecond($0.failed, $0.minutes) }),
            ("p50", column { milliseconds($0.p50) }), ("p95", column { milliseconds($0.p95) }),
            ("p99", column { milliseconds($0.p99) }),
            (
                "delivered",
                column { point in
                    let ended = point.delivered + point.undelivered
                    return ended == 0
                        ? .null : .double((Double(point.delivered) / Double(ended) * 1_000).rounded() / 10)
                }
            ),
            (
                "deliveries",
                .array(
                    history.deliveries.map { row in
                        .object([
                            ("country", .string(row.country)), ("status", .string(row.status)),
                            ("messages", .int(row.messages)),
                        ])
                    })
            ),
            (
                "channels",
                .array(
                    history.channels.map { row in
                        .object([
                            ("channel", .string(row.channel)), ("messages", .int(row.messages)),
                            ("delivered", .int(row.delivered)), ("undelivered", .int(row.undelivered)),
                            ("verified", .int(row.verified)),
                        ])
                    })
            ),
            (
                "channelSpend",
                .array(
                    history.channelSpend.map { row in
                        .object([
                            ("channel", .string(row.channel)), ("currency", .string(row.currency)),
                            ("billed", .number(row.billed)), ("expected", .number(row.expected)),
                        ])
                    })
            ),
            (
                "spend",
                .array(
                    history.spend.map { spend in
                        .object([
                            ("currency", .string(spend.currency)), ("billed", .number(spend.billed)),
                            ("expected", .number(spend.expected)),
                            ("budget", spend.budget.map { .number($0) } ?? .null),
                        ])
                    })
            ),
        ])
    }

    /// The answer while the database is unreachable.
    static func trouble(_ failure: Failure, seconds: Int) -> JSON {
        .object([
            ("trouble", .string(failure.why)), ("remedy", .text(failure.remedy)), ("seconds", .int(seconds)),
        ])
    }

    private static func channel(_ channel: StatusSnapshot.Channel, _ snapshot: StatusSnapshot) -> JSON {
        let problem = snapshot.routeProblems.first { $0.channel == channel.name }
        return .object([
            ("channel", .string(channel.name)), ("used", .bool(channel.isUsed)),
            ("workersAlive", .int(channel.workersAlive)), ("queued", .int(channel.queued)),
            ("accepted", .array(channel.accepted.map { .int($0) })),
            ("failed", .array(channel.failed.map { .int($0) })),
            ("problem", .text(problem.map { "\($0.name): \($0.problem)" })),
        ])
    }

    private static func worker(_ worker: StatusSnapshot.Worker) -> JSON {
        .object([
            ("id", .int(worker.id)), ("sends", .bool(worker.sends)), ("host", .string(worker.host)),
            ("pid", .int(worker.pid)), ("version", .string(worker.version)),
            ("state", .string(worker.isDead ? "dead" : worker.state)), ("reason", .text(worker.reason)),
            ("inFlight", .int(worker.inFlight)), ("accepted", .int(worker.accepted)), ("failed", .int(worker.failed)),
            ("unknown", .int(worker.unknown)), ("heartbeatSeconds", .int(worker.heartbeatSeconds)),
            ("twilio", .text(worker.twilio)), ("mail", .text(worker.mail)), ("database", .text(worker.database)),
            (
                "callbacks",
                worker.callbacks.map {
                    .object([
                        ("received", .int($0.received)), ("refused", .int($0.refused)), ("dropped", .int($0.dropped)),
                    ])
                } ?? .null
            ),
        ])
    }

    private static func pause(_ pause: StatusSnapshot.Pause) -> JSON {
        .object([
            ("scope", .string(pause.scope)), ("reason", .string(pause.reason)),
            ("remedy", .string(pause.remedy ?? StatusWords.pauseRemedy(pause.scope))), ("seconds", .int(pause.seconds)),
            ("nextProbeSeconds", .optional(pause.nextProbeSeconds)), ("held", .optional(pause.held)),
        ])
    }

    private static func hold(_ hold: StatusSnapshot.Hold) -> JSON {
        .object([
            ("name", .string(hold.name)), ("enforced", .bool(hold.isEnforced)),
            ("explanation", .string(hold.explanation)),
            ("remedy", .string(hold.remedy)), ("seconds", .int(hold.seconds)),
            ("letThrough", .int(hold.letThrough.sent)),
            ("letThroughUsed", .int(hold.letThrough.used)),
        ])
    }

    private static func limit(_ limit: StatusSnapshot.Limit) -> JSON {
        .object([
            ("name", .string(limit.name)), ("period", .string(limit.period)), ("allowed", .number(limit.allowed)),
            ("used", .number(limit.used)), ("usedUpUntil", .text(limit.usedUpUntil)),
            ("usedUpSeconds", .optional(limit.usedUpSeconds)),
            ("remedy", .text(limit.usedUpUntil == nil ? nil : StatusWords.limitRemedy(limit))),
        ])
    }

    private static func failure(_ send: StatusSnapshot.Send) -> JSON {
        .object([
            ("job", .int(send.id)), ("phone", .string(send.phoneNumber)), ("channel", .string(send.channel)),
            ("state", .string(send.state)),
            ("status", .text(send.messageStatus)), ("code", .optional(send.errorCode)), ("error", .text(send.error)),
            ("remedy", .text(send.remedy)), ("seconds", .int(send.seconds)),
        ])
    }
}
