import NIOHTTP1
import Twilio

/// Decides by a request's head alone whether its body is worth reading. Pure.
struct RequestRule: Sendable {
    /// The path of the configured URL.
    let path: String
    /// The largest body.
    let bodyBytes: Int

    /// What is known of a request whose body is awaited.
    struct Awaited: Equatable {
        var format: CallbackReader.Format
        /// From the `?` on, as sent.
        var query: String
        var signature: String
        /// Whether the client waits for `100 Continue`.
        var isExpecting: Bool
    }

    enum Decision: Equatable {
        case read(Awaited)
        case refuse(HTTPReply)
    }

    func decide(_ head: HTTPRequestHead) -> Decision {
        let target = Self.originForm(head.uri)
        let query = target.drop { $0 != "?" }
        guard target.dropLast(query.count) == path else { return .refuse(.notFound) }
        guard head.method == .POST else { return .refuse(.notAllowed) }
        guard let format = Self.format(head.headers["content-type"]) else { return .refuse(.notForm) }
        let signatures = head.headers["x-twilio-signature"]
        guard signatures.count == 1, let signature = signatures.first else { return .refuse(.forbidden) }
        if let length = head.headers["content-length"].first, Int(length).map({ $0 > bodyBytes }) ?? true {
            return .refuse(.tooLarge)
        }
        return .read(
            Awaited(
                format: format, query: String(query), signature: signature,
                isExpecting: head.headers["expect"].first?.lowercased() == "100-continue"))
    }

    /// A target as a proxy may write it, with scheme and host in front: without them.
    private static func originForm(_ target: String) -> Substring {
        guard target.first != "/", let scheme = target.firstRange(of: "://") else { return target[...] }
        let rest = target[scheme.upperBound...].drop { $0 != "/" && $0 != "?" }
        return rest.first == "/" ? rest : "/" + rest
    }

    private static func format(_ headers: [String]) -> CallbackReader.Format? {
        guard headers.count == 1 else { return nil }
        let type = headers[0].prefix { $0 != ";" }.drop { $0 == " " }.prefix { $0 != " " }
        switch type.lowercased() {
        case "application/x-www-form-urlencoded": return .form
        case "application/json": return .json
        default: return nil
        }
    }
}
