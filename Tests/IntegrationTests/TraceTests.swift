import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Traces with the real daemon, and a collector of the test's own.
@Suite(.database) struct TraceTests {
    let database = TestScope.current?.database

    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let caller = "b7ad6b7169203331"

    /// Requests a code within the caller's trace.
    private func request(_ number: String, _ subject: String) async throws {
        try await database?.text(
            """
            SELECT 1 FROM otp.request('\(subject)', '\(number)',
                traceparent => '00-\(Self.trace)-\(Self.caller)-01')
            """)
    }

    private func settings(_ collector: Collector) -> [String: String?] {
        [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:\(collector.port)/base/",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-token=to%20ken", "OTEL_SERVICE_NAME": "codes",
        ]
    }

    @Test func theFirstAttemptContinuesTheCallersTraceAndTheRetryHasALink() async throws {
        let database = try #require(database)
        let (simulator, collector) = (try await Simulator.start(), try Collector())
        try simulator.faults(#"{"rates": {"429": 1}}"#)
        let otpd = try await Otpd.run(simulator, settings(collector))
        try await request("0501234567", "a subject")
        try await database.becomes("1|queued", "SELECT attempt, state FROM otp.send_jobs")
        try simulator.faults(#"{"rates": {}}"#)
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        let code = try #require(simulator.inbox().first?.code)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)

        let spans = try collector.spans()
        let sends = spans.filter { $0.name == "send sms" }.sorted {
            $0.number("otpd.attempt") < $1.number("otpd.attempt")
        }
        try #require(sends.count >= 2, "\(spans)")
        #expect(sends[0].traceID == Self.trace && sends[0].parent == Self.caller && sends[0].links.isEmpty)
        #expect(sends[0].attributes["error.type"] as? String == "429" && sends[0].isError)
        #expect(sends[0].attributes["otpd.country"] as? String == "SA")
        let last = sends[sends.count - 1]
        #expect(last.traceID != Self.trace && last.parent == nil)
        #expect(last.links == ["\(Self.trace)-\(Self.caller)"])
        #expect(last.attributes["otpd.outcome"] as? String == "accepted" && !last.isError)
        #expect(last.number("otpd.send_job_id") == sends[0].number("otpd.send_job_id"))

        // Each attempt has its request, and the message its receipt.
        let requests = spans.filter { $0.attributes["http.request.method"] != nil }
        #expect(requests.map(\.parent) == sends.map(\.id))
        #expect(requests[0].number("http.response.status_code") == 429)
        #expect(requests.allSatisfy { ($0.attributes["url.full"] as? String)?.contains("AC000") == false })
        let receipt = try #require(spans.first { $0.name == "receipt sms" }, "\(spans)")
        #expect(receipt.links == ["\(Self.trace)-\(Self.caller)"] && receipt.parent == nil)
        #expect(receipt.attributes["otpd.message_status"] as? String == "delivered")
        #expect(spans.allSatisfy { $0.end >= $0.start && $0.start > 1_700_000_000_000_000_000 })

        let exports = collector.exports
        #expect(exports.allSatisfy { $0.head.hasPrefix("POST /base/v1/traces HTTP/1.1\r\n") })
        #expect(exports.allSatisfy { $0.head.contains("\r\nx-token: to ken\r\n") })
        for export in exports {
            #expect(export.head.contains("Content-Type: application/json"))
            for secret in ["501234567", "a subject", code, Simulator.accountSID] {
                #expect(!export.text.contains(secret))
            }
        }
        // The line about the attempt has its span, so that a tool finds one from the other.
        let line = try #require(otpd.errors.split(separator: "\n").first { $0.contains("a send was not accepted") })
        #expect(line.contains("trace_id=\(Self.trace)") && line.contains("span_id=\(sends[0].id)"))
        #expect(
            try await database.text("SELECT spans_exported IS NULL, spans_dropped FROM otp.worker_status") == "f|0")
    }

    @Test func aCallbackIsAReceiptToo() async throws {
        let database = try #require(database)
        let (simulator, collector) = (try await Simulator.start(), try Collector())
        let port = try Loopback.freePort()
        let callbacks = [
            "OTPD_CALLBACK_LISTEN": "127.0.0.1:\(port)", "OTPD_CALLBACK_PUBLIC_URL": "http://127.0.0.1:\(port)/status",
        ]
        let otpd = try await Otpd.run(simulator, settings(collector).merging(callbacks) { $1 })
        try await request("0501234567", "s")
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        let receipts = try collector.spans().filter { $0.name == "receipt sms" }
        #expect(receipts.contains { $0.attributes["otpd.receipt_source"] as? String == "callback" }, "\(receipts)")
        #expect(receipts.allSatisfy { $0.links == ["\(Self.trace)-\(Self.caller)"] })
    }

    @Test func aCollectorThatRefusesHoldsNothingUp() async throws {
        let database = try #require(database)
        let (simulator, collector) = (try await Simulator.start(), try Collector(status: 400))
        let otpd = try await Otpd.run(simulator, settings(collector))
        try await request("0501234567", "s")
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(collector.exports.count == 1)
        #expect(otpd.errors.contains("cannot export traces"))
        #expect(!otpd.errors.contains("to ken"))
    }

    @Test func withoutAnEndpointNoSpansAreMadeAndLinesNameTheCaller() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"429": 1}}"#)
        let otpd = try await Otpd.run(simulator, ["OTPD_LOG_FORMAT": "json"])
        try await request("0501234567", "s")
        try await database.becomes("1|queued", "SELECT attempt, state FROM otp.send_jobs")
        try simulator.faults(#"{"rates": {}}"#)
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        let line = try #require(otpd.errors.split(separator: "\n").first { $0.contains("a send was not accepted") })
        #expect(line.contains(#""trace_id":"\#(Self.trace)""#) && line.contains(#""span_id":"\#(Self.caller)""#))
        #expect(line.contains(#""send_job_id":"#))
        #expect(try await database.text("SELECT spans_exported IS NULL FROM otp.worker_status") == "t")
    }
}

/// A collector: takes each export and answers with one status.
private final class Collector: Sendable {
    let port: UInt16
    private let taken = Taken()
    private let task: Task<Void, Never>

    private final class Taken: Sendable {
        let messages = Mutex<[HTTPMessage]>([])
    }

    init(status: Int = 200) throws {
        let listener = try Listener()
        port = listener.port
        task = Task { [taken] in
            while !Task.isCancelled, let socket = try? await listener.accept() {
                while let message = try? await socket.receiveMessage() {
                    taken.messages.withLock { $0.append(message) }
                    _ = try? await socket.send("HTTP/1.1 \(status) X\r\nContent-Length: 2\r\n\r\n{}")
                }
            }
        }
    }

    deinit { task.cancel() }

    var exports: [HTTPMessage] { taken.messages.withLock { $0 } }

    struct Span: Sendable, CustomStringConvertible {
        let name: String
        let traceID: String
        let id: String
        let parent: String?
        let links: [String]
        let isError: Bool
        let start: Int64
        let end: Int64
        nonisolated(unsafe) let attributes: [String: Any]

        func number(_ name: String) -> Int64 { attributes[name] as? Int64 ?? -1 }
        var description: String { "\(name) \(attributes)" }
    }

    /// The spans of all exports, in their order.
    func spans() throws -> [Span] {
        var spans: [Span] = []
        for export in exports {
            let body = try #require(try JSONSerialization.jsonObject(with: Data(export.body)) as? [String: Any])
            for resource in body["resourceSpans"] as? [[String: Any]] ?? [] {
                for scope in resource["scopeSpans"] as? [[String: Any]] ?? [] {
                    spans += try (scope["spans"] as? [[String: Any]] ?? []).map { try Self.span($0) }
                }
            }
        }
        return spans
    }

    private static func span(_ json: [String: Any]) throws -> Span {
        var attributes: [String: Any] = [:]
        for attribute in json["attributes"] as? [[String: Any]] ?? [] {
            let (key, value) = (try #require(attribute["key"] as? String), attribute["value"] as? [String: Any])
            attributes[key] =
                value?["stringValue"] ?? (value?["intValue"] as? String).flatMap { Int64($0) } ?? value?["doubleValue"]
        }
        let links = (json["links"] as? [[String: Any]] ?? []).map { "\($0["traceId"] ?? "")-\($0["spanId"] ?? "")" }
        return Span(
            name: try #require(json["name"] as? String), traceID: try #require(json["traceId"] as? String),
            id: try #require(json["spanId"] as? String), parent: json["parentSpanId"] as? String, links: links,
            isError: (json["status"] as? [String: Any])?["code"] as? Int == 2,
            start: Int64(json["startTimeUnixNano"] as? String ?? "") ?? 0,
            end: Int64(json["endTimeUnixNano"] as? String ?? "") ?? 0, attributes: attributes)
    }
}
