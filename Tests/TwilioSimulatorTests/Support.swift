import Foundation

@testable import TwilioSimulator

/// 2023-11-14 22:13:20 UTC.
let epoch: Microseconds = 1_700_000_000_000_000
let second: Microseconds = 1_000_000
let sender = "+15005550006"

func settings(_ change: (inout Settings) -> Void = { _ in }) -> Settings {
    var settings = Settings()
    settings.seed = 7
    change(&settings)
    return settings
}

func encoded(_ fields: [(String, String)]) -> [UInt8] {
    var body: [UInt8] = []
    for (name, value) in fields {
        if !body.isEmpty { body.append(UInt8(ascii: "&")) }
        PercentEncoding.append(name.utf8, to: &body)
        body.append(UInt8(ascii: "="))
        PercentEncoding.append(value.utf8, to: &body)
    }
    return body
}

func json(_ bytes: [UInt8]) throws -> [String: Any] {
    let value = try JSONSerialization.jsonObject(with: Data(bytes))
    guard let object = value as? [String: Any] else { throw ControlError(message: "no object") }
    return object
}

extension Simulator {
    private var basic: String { "Basic " + Base64.encode(Array("\(settings.accountSID):\(settings.authToken)".utf8)) }
    private var base: String { "/2010-04-01/Accounts/\(settings.accountSID)" }

    func send(_ method: Request.Method, _ path: String, _ body: [UInt8] = [], at now: Microseconds = epoch) -> Reply {
        respond(to: Request(method: method, target: path, authorization: basic, body: body), at: now)
    }

    func create(
        to: String = "+966501234567", from: String = sender, body: String = "hello", more: [(String, String)] = [],
        at now: Microseconds = epoch
    ) -> Reply {
        let fields = [("To", to), ("From", from), ("Body", body)].filter { !$0.1.isEmpty } + more
        return send(.post, base + "/Messages.json", encoded(fields), at: now)
    }

    func createdSID(to: String = "+966501234567", at now: Microseconds = epoch) throws -> String {
        try json(create(to: to, at: now).answer.body)["sid"] as? String ?? ""
    }

    func fetch(_ sid: String, at now: Microseconds = epoch) throws -> [String: Any] {
        try json(send(.get, base + "/Messages/\(sid).json", at: now).answer.body)
    }

    func messagePath(_ sid: String) -> String { base + "/Messages/\(sid).json" }

    func list(_ query: String, at now: Microseconds = epoch) throws -> [String: Any] {
        try json(send(.get, base + "/Messages.json?" + query, at: now).answer.body)
    }

    func sids(of list: [String: Any]) -> [String] {
        (list["messages"] as? [[String: Any]] ?? []).compactMap { $0["sid"] as? String }
    }
}
