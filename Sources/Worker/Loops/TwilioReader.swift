import EventLoop
import HTTP
import Logging
import OTP
import Runtime
import Synchronization
import Twilio

/// What the loops ask Twilio for: of `TwilioReader`, or in tests of a stand-in.
protocol MessageReader: Sendable {
    /// A message as Twilio has it now; nil when it does not say.
    func message(_ sid: MessageSID) async -> MessageResource?
    /// What Twilio says of a message that another program told of.
    func lookUp(_ sid: MessageSID) async -> MessageLookup
    /// Empties a message's text at Twilio, for good; whether it is empty now. Repeating it is harmless.
    func redact(_ sid: MessageSID) async -> Bool
    /// The path and query of the first page of the messages to a number.
    func list(to number: PhoneNumber, pageSize: Int) -> String
    /// A page of Twilio's list, by its path and query; nil when it can't be had or read.
    func page(_ path: String, deadline: Instant) async -> MessagePage?
}

/// What Twilio says of a message that another program told of.
enum MessageLookup: Sendable {
    case found(MessageResource)
    /// Twilio does not know it.
    case absent
    case unclear
}

/// Reads from Twilio, off the hot path: a message, or a page of its list; and has it empty a text. Nothing is sent by it.
struct TwilioReader: MessageReader {
    let http: HTTPClient
    let baseURL: String
    let endpoint: Twilio.Endpoint
    let authorization: Authorization
    let log: Logger

    /// A message as Twilio has it now; nil when it does not say.
    func message(_ sid: MessageSID) async -> MessageResource? {
        guard let body = await answer(.get, endpoint.message(sid), deadline: .now() + Times.http) else { return nil }
        let message = decoded { () throws(MessageResource.Problem) in try MessageResource(json: body.span) }
        // An answer about something else: the connection is one behind (`Outcome.classify`).
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
            log.debug("Twilio could not be asked", metadata: [LogKeys.error: "\(error)"])
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

    func list(to number: PhoneNumber, pageSize: Int) -> String { endpoint.messages(to: number, pageSize: pageSize) }

    /// A page of Twilio's list, by its path and query; nil when it can't be had or read. Over a connection of its own: a
    /// page of somebody else's messages would look like a message that is not there.
    func page(_ path: String, deadline: Instant) async -> MessagePage? {
        guard let body = await answer(.get, path, isAlone: true, deadline: deadline) else { return nil }
        return decoded { () throws(MessageResource.Problem) in try MessagePage(json: body.span) }
    }

    private func decoded<T>(_ decode: () throws(MessageResource.Problem) -> T) -> T? {
        do {
            return try decode()
        } catch {
            log.debug("an answer of Twilio's can't be read", metadata: [LogKeys.error: "\(error)"])
            return nil
        }
    }

    /// Whether Twilio answers: what is asked for is one page of one message, and thrown away.
    ///
    /// A page in place of Twilio's answer (a captive portal, a proxy's redirect) is none. A refusal counts as an answer,
    /// whoever gave it: a firewall may refuse what is asked here and let messages pass.
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

    private func answer(
        _ method: Request.Method, _ path: String, body: [UInt8] = [], isAlone: Bool = false, deadline: Instant
    ) async -> [UInt8]? {
        do {
            let response = try await perform(method, path, body: body, isAlone: isAlone, deadline: deadline)
            if response.status == 200 { return response.body }
            log.debug("Twilio did not give what it was asked for", metadata: [LogKeys.state: "\(response.status)"])
        } catch {
            log.debug("Twilio could not be asked", metadata: [LogKeys.error: "\(error)"])
        }
        return nil
    }

    private func perform(
        _ method: Request.Method, _ path: String, body: [UInt8] = [], isAlone: Bool = false, deadline: Instant
    ) async throws(HTTPError) -> Response {
        let header = authorization.value.withBytes { bytes in
            String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
        }
        let request = Request(
            method, url: baseURL + path,
            headers: [.init("Authorization", header), .init("Accept", "application/json")], body: body, isAlone: isAlone
        )
        return try await http.perform(request, deadline: deadline)
    }
}

/// The `Authorization` header of requests that begin now: it changes when credentials are read anew.
final class Authorization: Sendable {
    private let current: Mutex<Secret>

    init(_ value: Secret) { current = Mutex(value) }

    var value: Secret {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}
