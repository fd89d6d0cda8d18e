import TestSupport

@testable import TwilioSimulator

/// Runs `body` with a simulator of its own.
func withServer(_ settings: Settings = settings(), _ body: (Int) async throws -> Void) async throws {
    try await withSimulator(settings) { try await body($0.port) }
}

/// The same, with all ports of the simulator.
func withSimulator(_ settings: Settings, _ body: (SimulatorServer) async throws -> Void) async throws {
    let server = try SimulatorServer(settings)
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(server))
    } catch {
        result = .failure(error)
    }
    // It blocks until NIO's loop has ended, which is reported on a dispatch queue: not on a thread that tests need.
    await withCheckedContinuation { done in
        Threads.detach {
            server.close()
            done.resume()
        }
    }
    try result.get()
}

func rawCreate(to: String, callback: String? = nil) -> [UInt8] {
    let settings = Settings()
    var fields = [("To", to), ("From", sender), ("Body", "hello")]
    if let callback { fields.append(("StatusCallback", callback)) }
    let body = encoded(fields)
    let basic = Base64.encode(Array("\(settings.accountSID):\(settings.authToken)".utf8))
    let lines = [
        "POST /2010-04-01/Accounts/\(settings.accountSID)/Messages.json HTTP/1.1", "Host: 127.0.0.1",
        "Authorization: Basic \(basic)", "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: \(body.count)", "", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8) + body
}

func rawGet(_ target: String) -> [UInt8] {
    Array("GET \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".utf8)
}
