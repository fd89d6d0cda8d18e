import OTP
import TestSupport
import Twilio

/// A signed status callback in Twilio's form, sent by the test itself.
struct Callback {
    /// The URL that Twilio was given. A proxy sits between it and the receiver.
    static let publicURL = "https://sms.example.com/twilio/status"

    var sid: String
    var status: String
    var errorCode: Int?
    var reference: String?
    var token = Simulator.authToken

    /// A SID that no simulator gives.
    static func sid(_ number: Int) -> String {
        let digits = String(number)
        return "SM" + String(repeating: "f", count: 32 - digits.count) + digits
    }

    /// Sends it to a receiver on `port`. Returns the status of the answer.
    func post(to port: UInt16) throws -> Int {
        var fields = [
            (name: "MessageSid", value: sid), (name: "MessageStatus", value: status),
            (name: "To", value: "966501234567"), (name: "NewParameter", value: "x"),
        ]
        if let errorCode { fields.append((name: "ErrorCode", value: String(errorCode))) }
        let query = reference.map { "?reference=\($0)" } ?? ""
        let signature = Signature(authToken: Secret(token)).make(url: Self.publicURL + query, parameters: fields)
        return try HTTP1.exchange(
            port: port, "POST", "/twilio/status" + query,
            headers: [
                "Content-Type: application/x-www-form-urlencoded; charset=UTF-8", "X-Twilio-Signature: \(signature)",
            ],
            body: fields.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
        ).status
    }
}

extension Otpd {
    static let isReceiving = "listening for status callbacks"

    /// Starts `otpd run` with its receiver, which gets the simulator's callbacks.
    @discardableResult
    static func runReceiving(_ simulator: Simulator, _ changes: [String: String?] = [:]) async throws -> Program {
        let port = try Loopback.freePort()
        let program = try await run(
            simulator,
            [
                "OTPD_CALLBACK_LISTEN": "127.0.0.1:\(port)",
                "OTPD_CALLBACK_PUBLIC_URL": "http://127.0.0.1:\(port)/twilio/status",
            ].merging(changes) { $1 })
        try await program.says(isReceiving)
        return program
    }

    /// Starts `otpd callbacks` for a public URL behind a proxy. Returns its port.
    static func receiver(_ changes: [String: String?] = [:]) async throws -> (program: Program, port: UInt16) {
        guard let scope = TestScope.current else { throw Trouble("no TestScope") }
        let port = try Loopback.freePort()
        let program = try scope.start(
            BuildFolder.executable("otpd"), ["callbacks"], environment: receiverEnvironment(port, changes))
        try await program.says(isReceiving)
        return (program, port)
    }

    /// The settings that the receiver alone needs.
    static func receiverEnvironment(_ port: UInt16, _ changes: [String: String?] = [:]) throws -> [String: String] {
        var environment = try databaseEnvironment()
        environment["OTPD_LOG_LEVEL"] = "debug"
        environment["TWILIO_AUTH_TOKEN"] = Simulator.authToken
        environment["OTPD_CALLBACK_LISTEN"] = "127.0.0.1:\(port)"
        environment["OTPD_CALLBACK_PUBLIC_URL"] = Callback.publicURL
        for (name, value) in changes { environment[name] = value }
        return environment
    }
}
