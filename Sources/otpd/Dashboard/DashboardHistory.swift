internal import Queue

/// What `ReadHistory` brought, by its names.
struct DashboardHistory: Sendable {
    struct Spend: Equatable, Sendable {
        var currency: String
        /// As the database writes numbers.
        var billed: String
        var expected: String
        var budget: String?
    }

    /// Of the last hour, a minute each, or of the last day, five minutes each.
    var points: [Point] = []
    var deliveries: [(country: String, status: String, messages: Int)] = []
    var spend: [Spend] = []
    var sentTwice = 0
    /// Seconds since 1970, by the database.
    var now = 0

    struct Point: Equatable, Sendable {
        /// Seconds since 1970, its beginning.
        var at: Int
        /// How many minutes of it are known.
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
                case "sent_twice": sentTwice = row.int("messages")
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
