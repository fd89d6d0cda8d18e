import OTP

/// Writes spans as an `ExportTraceServiceRequest` in the JSON form of OTLP 1.9, with the names of OpenTelemetry's semantic
/// conventions 1.45. Pure.
public struct SpanEncoder: Sendable {
    /// The version of the semantic conventions, as a schema's URL names it.
    static let schema = "https://opentelemetry.io/schemas/1.45.0"

    /// The server that requests go to.
    public struct Server: Sendable, Equatable {
        /// Such as `https://api.twilio.com`.
        public var origin: String
        public var host: String
        public var port: Int

        public init(origin: String, host: String, port: Int) {
            (self.origin, self.host, self.port) = (origin, host, port)
        }
    }

    private let serviceName: String
    private let version: String
    private let host: String
    private let twilio: Server

    /// - Parameters:
    ///   - serviceName: `OTEL_SERVICE_NAME`.
    ///   - version: otpd's.
    ///   - host: this machine's name.
    ///   - twilio: Twilio's API, or a stand-in.
    public init(serviceName: String, version: String, host: String, twilio: Server) {
        (self.serviceName, self.version, self.host, self.twilio) = (serviceName, version, host, twilio)
    }

    /// The body of a request.
    public func body(_ spans: [Span]) -> [UInt8] {
        var json = JSONWriter(capacity: 1024 + spans.count * 1400)
        json.object {
            $0.array("resourceSpans") { resources in
                resources.object { resource in
                    resource.object("resource") {
                        $0.attributes([
                            ("service.name", .text(serviceName)), ("service.version", .text(version)),
                            ("host.name", .text(host)), ("telemetry.sdk.name", .text("otpd")),
                            ("telemetry.sdk.language", .text("swift")), ("telemetry.sdk.version", .text(version)),
                        ])
                    }
                    resource.array("scopeSpans") { scopes in
                        scopes.object { scope in
                            scope.object("scope") {
                                $0.text("name", "otpd")
                                $0.text("version", version)
                            }
                            scope.array("spans") { list in
                                for span in spans { list.object { write(span, to: &$0) } }
                            }
                            scope.text("schemaUrl", Self.schema)
                        }
                    }
                    resource.text("schemaUrl", Self.schema)
                }
            }
        }
        return json.bytes
    }

    private func write(_ span: Span, to json: inout JSONWriter) {
        json.text("traceId", "\(span.context.traceID)")
        json.text("spanId", "\(span.context.spanID)")
        if let parent = span.parent { json.text("parentSpanId", "\(parent.spanID)") }
        // Bits 8 and 9 say that it is known whether the parent is another program's, and that it is.
        json.number("flags", (span.context.isSampled ? 1 : 0) | 0x100 | (span.parent?.isRemote == true ? 0x200 : 0))
        let content = span.content.described(at: twilio)
        json.text("name", content.name)
        json.number("kind", content.kind.rawValue)
        json.text("startTimeUnixNano", "\(span.began)")
        json.text("endTimeUnixNano", "\(span.ended)")
        json.attributes(content.attributes)
        if let link = span.link {
            json.array("links") {
                $0.object {
                    $0.text("traceId", "\(link.traceID)")
                    $0.text("spanId", "\(link.spanID)")
                    $0.number("flags", (link.isSampled ? 1 : 0) | 0x300)
                }
            }
        }
        if content.isError { json.object("status") { $0.number("code", 2) } }
    }
}

/// A span's content in OpenTelemetry's terms.
private struct Description {
    /// The numbers of OTLP's `SpanKind`.
    enum Kind: Int {
        case client = 3
        case consumer = 5
    }

    var name: String
    var kind: Kind
    var attributes: [(String, AttributeValue)]
    var isError = false
}

extension Span.Content {
    fileprivate func described(at twilio: SpanEncoder.Server) -> Description {
        switch self {
        case .send(let send): send.described
        case .request(let exchange): exchange.described(at: twilio)
        case .lookup(let lookup): lookup.described
        case .receipt(let receipt): receipt.described
        }
    }
}

extension Span.Job {
    /// The attributes of a messaging operation on this job.
    fileprivate func attributes(_ operation: String, type: String?) -> [(String, AttributeValue)] {
        var attributes: [(String, AttributeValue)] = [
            ("messaging.system", .text(channel == .email ? "smtp" : "twilio")),
            ("messaging.operation.name", .text(operation)),
            ("messaging.destination.name", .text(channel.rawValue)),
            ("otpd.send_job_id", .int(id)), ("otpd.attempt", .int(Int64(attempt))),
            ("otpd.channel", .text(channel.rawValue)),
        ]
        if let type { attributes.append(("messaging.operation.type", .text(type))) }
        if !country.isEmpty { attributes.append(("otpd.country", .text(country))) }
        return attributes
    }
}

extension Span.Send {
    fileprivate var described: Description {
        var attributes = job.attributes("send", type: "send")
        attributes.append(("otpd.outcome", .text(outcome)))
        attributes.append(("otpd.queue_seconds", .double(Double(wait) / 1e9)))
        if let follows { attributes.append(("otpd.follows", .int(follows))) }
        if let sid { attributes.append(("messaging.message.id", .text("\(sid)"))) }
        if let error { attributes.append(("error.type", .text(error))) }
        return Description(
            name: "send \(job.channel.rawValue)", kind: .client, attributes: attributes, isError: error != nil)
    }
}

extension Span.Exchange {
    /// The account's SID is left out: the URL is that of Twilio's documentation.
    fileprivate func described(at twilio: SpanEncoder.Server) -> Description {
        let template = "/2010-04-01/Accounts/{AccountSid}/\(channel == .call ? "Calls" : "Messages").json"
        var attributes: [(String, AttributeValue)] = [
            ("http.request.method", .text("POST")),
            ("url.full", .text(twilio.origin + template.replacingAccount(by: "REDACTED"))),
            ("url.template", .text(template)),
            ("server.address", .text(twilio.host)), ("server.port", .int(Int64(twilio.port))),
        ]
        if resends > 0 { attributes.append(("http.request.resend_count", .int(Int64(resends)))) }
        if let status { attributes.append(("http.response.status_code", .int(Int64(status)))) }
        let failure = error ?? status.flatMap { $0 >= 400 ? "\($0)" : nil }
        if let failure { attributes.append(("error.type", .text(failure))) }
        return Description(
            name: "POST \(template)", kind: .client, attributes: attributes, isError: failure != nil)
    }
}

extension String {
    fileprivate func replacingAccount(by word: String) -> String {
        guard let place = firstRange(of: "{AccountSid}") else { return self }
        return replacingSubrange(place, by: word)
    }

    private func replacingSubrange(_ place: Range<String.Index>, by word: String) -> String {
        var copy = self
        copy.replaceSubrange(place, with: word)
        return copy
    }
}

extension Span.Lookup {
    fileprivate var described: Description {
        Description(
            name: "look_up \(job.channel.rawValue)", kind: .client,
            attributes: job.attributes("look_up", type: nil) + [("otpd.outcome", .text(outcome))])
    }
}

extension Span.Receipt {
    fileprivate var described: Description {
        var attributes = job.attributes("receipt", type: "process")
        attributes.append(("messaging.message.id", .text(sid)))
        attributes.append(("otpd.message_status", .text(status)))
        attributes.append(("otpd.receipt_source", .text(source.rawValue)))
        // The news that a message did not arrive. The receipt itself was processed, but its reader looks for this.
        let isError = ["failed", "undelivered", "busy", "no-answer"].contains(status)
        if isError { attributes.append(("error.type", .text(errorCode.map { "\($0)" } ?? status))) }
        return Description(
            name: "receipt \(job.channel.rawValue)", kind: .consumer, attributes: attributes, isError: isError)
    }
}
