import EventLoop
import HTTP
import Logging
import OTP
import Runtime
import Synchronization
import Twilio

/// What the loops ask Twilio for. Tests use a stand-in.
protocol MessageReader: Sendable {
    /// A message as Twilio has it now; nil without an answer.
    func message(_ sid: MessageSID) async -> MessageResource?
    /// A call as Twilio has it now; nil without an answer.
    func call(_ sid: MessageSID) async -> CallResource?
    /// Ends a call that has not been answered, and returns it; nil without an answer. Repeating it is harmless.
    func cancel(_ sid: MessageSID) async -> CallResource?
    /// What Twilio answers about a message that a backend reported.
    func lookUp(_ sid: MessageSID) async -> MessageLookup
    /// Empties a message's text at Twilio, for good; whether it is empty now. Repeating it is harmless.
    func redact(_ sid: MessageSID) async -> Bool
    /// The path and query of the first page of the messages to a number.
    func list(to number: PhoneNumber, by channel: Channel, pageSize: Int) -> String
    /// The path and query of the first page of the calls to a number.
    func calls(to number: PhoneNumber, from caller: CallSender, pageSize: Int) -> String
    /// A page of Twilio's list of calls, as `page`.
    func callPage(_ path: String, deadline: Instant) async -> CallPage?
    /// A page of Twilio's list, by its path and query; nil when it can't be had or read.
    func page(_ path: String, deadline: Instant) async -> MessagePage?
}

/// What Twilio answers about a message that a backend reported.
enum MessageLookup: Sendable {
    case found(MessageResource)
    /// Twilio does not know it.
    case absent
    case unclear
}

/// Reads messages and pages of Twilio's list, has Twilio delete texts, and gives feedback. It sends no message, and is off the hot
/// path.
struct TwilioReader: MessageReader, FeedbackSender, RiskReader {
    let http: HTTPClient
    let baseURL: String
    let endpoint: Twilio.Endpoint
    let authorization: Authorization
    let log: Logger

    /// A message as Twilio has it now; nil without an answer.
    func message(_ sid: MessageSID) async -> MessageResource? {
        guard let body = await answer(.get, endpoint.message(sid), deadline: .now() + Times.http) else { return nil }
        let message = decoded { () throws(MessageResource.Problem) in try MessageResource(json: body.span) }
        // An answer about another message: the connection's answers are out of step (`Outcome.classify`).
        guard message?.sid == sid else { return nil }
        return message
    }

    /// Looks up a message by its SID, over a connection of its own, as `page` does.
    func lookUp(_ sid: MessageSID) async -> MessageLookup {
        do {
            let response = try await perform(
                .get, endpoint.message(sid), isAlone: true, deadline: .now() + Times.http)
            if response.status == 404 { return .absent }
            guard response.status == 200 else { return .unclear }
            let message = decoded { () throws(MessageResource.Problem) in
                try MessageResource(json: response.body.span)
            }
            guard let message, message.sid == sid else { return .unclear }
            return .found(message)
        } catch {
            log.debug("cannot reach Twilio", metadata: [LogKeys.error: "\(error)"])
            return .unclear
        }
    }

    /// Empties a message's text at Twilio, for good; whether it is empty now. Repeating it is harmless.
    func redact(_ sid: MessageSID) async -> Bool {
        guard
            let body = await answer(
                .post, endpoint.message(sid), body: Endpoint.redaction, deadline: .now() + Times.http)
        else { return false }
        let message = decoded { () throws(MessageResource.Problem) in try MessageResource(json: body.span) }
        return message?.sid == sid && message?.body?.isEmpty == true
    }

    func list(to number: PhoneNumber, by channel: Channel, pageSize: Int) -> String {
        endpoint.messages(to: number, by: channel, pageSize: pageSize)
    }

    func call(_ sid: MessageSID) async -> CallResource? {
        guard let body = await answer(.get, endpoint.call(sid), deadline: .now() + Times.http) else { return nil }
        return decodedCall(body, sid)
    }

    func cancel(_ sid: MessageSID) async -> CallResource? {
        guard
            let body = await answer(
                .post, endpoint.call(sid), body: Endpoint.cancellation, deadline: .now() + Times.http)
        else { return nil }
        return decodedCall(body, sid)
    }

    private func decodedCall(_ body: [UInt8], _ sid: MessageSID) -> CallResource? {
        let call = decoded { () throws(CallResource.Problem) in try CallResource(json: body.span) }
        return call?.sid == sid ? call : nil
    }

    func calls(to number: PhoneNumber, from caller: CallSender, pageSize: Int) -> String {
        endpoint.calls(to: number, from: caller, pageSize: pageSize)
    }

    func callPage(_ path: String, deadline: Instant) async -> CallPage? {
        guard let body = await answer(.get, path, isAlone: true, deadline: deadline) else { return nil }
        return decoded { () throws(CallResource.Problem) in try CallPage(json: body.span) }
    }

    /// A page of Twilio's list, by its path and query; nil when it can't be had or read. It uses a connection of its
    /// own: a page of another list, read by mistake, would look like an absent message.
    func page(_ path: String, deadline: Instant) async -> MessagePage? {
        guard let body = await answer(.get, path, isAlone: true, deadline: deadline) else { return nil }
        return decoded { () throws(MessageResource.Problem) in try MessagePage(json: body.span) }
    }

    private func decoded<T, Problem: Error>(_ decode: () throws(Problem) -> T) -> T? {
        do throws(Problem) {
            return try decode()
        } catch {
            log.debug("cannot read Twilio's answer", metadata: [LogKeys.error: "\(error)"])
            return nil
        }
    }

    /// Whether Twilio answers. The request asks for a page of one message, and discards it.
    ///
    /// A page in place of Twilio's answer (a captive portal, a proxy's redirect) does not count as an answer. A refusal
    /// does, even a firewall's: a firewall may refuse this request and let messages pass.
    func answers(within span: Instant.Duration) async -> Bool {
        do {
            let response = try await perform(.get, "\(endpoint.messages)?PageSize=1", deadline: .now() + span)
            return switch response.status {
            case 200: (try? MessagePage(json: response.body.span)) != nil
            case 400..<500: true
            default: false
            }
        } catch {
            log.debug("Twilio does not answer", metadata: [LogKeys.error: "\(error)"])
            return false
        }
    }

    /// Tells Twilio that a message's code was used. Repeating it is harmless.
    func confirm(_ sid: MessageSID) async -> FeedbackAnswer {
        do {
            let response = try await perform(
                .post, endpoint.feedback(sid), body: Endpoint.confirmation, deadline: .now() + Times.http)
            return FeedbackAnswer(
                status: response.status, body: response.body.span, retryAfter: response.retryAfter, about: sid)
        } catch {
            log.debug("cannot reach Twilio", metadata: [LogKeys.error: "\(error)"])
            return .unclear
        }
    }

    /// The risk of a number, by Twilio's Lookup, which is on another host than messages. The path holds the number: neither
    /// it nor an error that could name it is logged.
    func risk(of number: PhoneNumber, deadline: Instant) async -> NumberRisk {
        do {
            let response = try await perform(
                .get, Endpoint.risk(of: number), at: Endpoint.lookupBaseURL(baseURL), deadline: deadline)
            return NumberRisk(status: response.status, body: response.body.span, about: number)
        } catch {
            log.debug("cannot reach Twilio", metadata: [LogKeys.error: "\(error)"])
            return .failed(.noAnswer)
        }
    }

    private func answer(
        _ method: Request.Method, _ path: String, body: [UInt8] = [], isAlone: Bool = false, deadline: Instant
    ) async -> [UInt8]? {
        do {
            let response = try await perform(method, path, body: body, isAlone: isAlone, deadline: deadline)
            if response.status == 200 { return response.body }
            log.debug("Twilio answered with an error", metadata: [LogKeys.state: "\(response.status)"])
        } catch {
            log.debug("cannot reach Twilio", metadata: [LogKeys.error: "\(error)"])
        }
        return nil
    }

    private func perform(
        _ method: Request.Method, _ path: String, at base: String? = nil, body: [UInt8] = [], isAlone: Bool = false,
        deadline: Instant
    ) async throws(HTTPError) -> Response {
        let header = authorization.value.withBytes { bytes in
            String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
        }
        let request = Request(
            method, url: (base ?? baseURL) + path,
            headers: [.init("Authorization", header), .init("Accept", "application/json")], body: body, isAlone: isAlone
        )
        return try await http.perform(request, deadline: deadline)
    }
}

/// The `Authorization` header of requests that begin now: it changes when credentials are reloaded.
final class Authorization: Sendable {
    private let current: Mutex<Secret>

    init(_ value: Secret) { current = Mutex(value) }

    var value: Secret {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}
