internal import Queue

/// The result of `ReadHistory`.
struct DashboardHistory: Sendable {
    struct Spend: Equatable, Sendable {
        var currency: String
        /// An amount in the database's spelling.
        var billed: String
        var expected: String
        var budget: String?
    }

    /// What became of a channel's messages.
    struct Channel: Equatable, Sendable {
        var channel: String
        var messages: Int
        var delivered: Int
        var undelivered: Int
        /// How many of their codes were verified before a later step began.
        var verified: Int
    }

    struct ChannelSpend: Equatable, Sendable {
        var channel: String
        var currency: String
        /// An amount in the database's spelling.
        var billed: String
        var expected: String
    }

    /// One point for each minute of the last hour, or for each five minutes of the last day.
    var points: [Point] = []
    var deliveries: [(country: String, status: String, messages: Int)] = []
    /// Each channel's messages in the period.
    var channels: [Channel] = []
    var spend: [Spend] = []
    /// Today's cost of each channel and currency.
    var channelSpend: [ChannelSpend] = []
    var sentTwice = 0
    /// Verified codes by what became of the feedback about them.
    var feedback: [(outcome: String, codes: Int)] = []
    /// Risk checks of phone numbers, by how they ended.
    var riskChecks: [(outcome: String, checks: Int)] = []
    /// The database's time in seconds since 1970.
    var now = 0

    struct Point: Equatable, Sendable {
        /// Its beginning in seconds since 1970.
        var at: Int
        /// How many of its minutes are known.
        var minutes: Int
        var queued: Int
        var due: Int
        var oldest: Double
        var accepted: Int
        var failed: Int
        var p50: Double?
        var p95: Double?
        var p99: Double?
        var delivered: Int
        var undelivered: Int
    }

    init() {}

    init(_ parts: [ReadStatus.Part]) {
        for part in parts {
            for cells in part.rows {
                let row = StatusSnapshot.Row(part: part, cells: cells)
                switch part.name {
                case "points": points.append(Point(row))
                case "deliveries":
                    deliveries.append(
                        (row.text("country") ?? "—", row.text("status") ?? "", row.int("messages")))
                case "spend":
                    spend.append(
                        Spend(
                            currency: row.text("currency") ?? "", billed: row.text("billed") ?? "0",
                            expected: row.text("expected") ?? "0", budget: row.text("budget")))
                case "channels":
                    channels.append(
                        Channel(
                            channel: row.text("channel") ?? "", messages: row.int("messages"),
                            delivered: row.int("delivered"), undelivered: row.int("undelivered"),
                            verified: row.int("verified")))
                case "channel_spend":
                    channelSpend.append(
                        ChannelSpend(
                            channel: row.text("channel") ?? "", currency: row.text("currency") ?? "",
                            billed: row.text("billed") ?? "0", expected: row.text("expected") ?? "0"))
                case "sent_twice": sentTwice = row.int("messages")
                case "risk_checks": riskChecks.append((row.text("outcome") ?? "", row.int("checks")))
                case "feedback": feedback.append((row.text("outcome") ?? "", row.int("codes")))
                case "clock": now = row.int("now")
                default: break
                }
            }
        }
    }
}

extension DashboardHistory.Point {
    init(_ row: StatusSnapshot.Row) {
        self.init(
            at: row.int("at"), minutes: row.int("minutes"), queued: row.int("queued"), due: row.int("due"),
            oldest: row.double("oldest") ?? 0, accepted: row.int("accepted"), failed: row.int("failed"),
            p50: row.double("p50"), p95: row.double("p95"), p99: row.double("p99"), delivered: row.int("delivered"),
            undelivered: row.int("undelivered"))
    }
}
