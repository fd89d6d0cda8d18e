import HTTP
import Synchronization
import Testing

@Suite("A POST is sent at most once", .timeLimit(.minutes(10)))
struct ReplayTests {
    /// libcurl 7.88.1 sends a POST a second time when a reused connection is lost before an answer. With
    /// CURLOPT_POSTFIELDS in place of the read callback, the server got two POSTs, and the outcome was
    /// `.response(201)`.
    @Test("on a reused connection that the server closes after reading it: one POST arrives, the outcome is unknown")
    func replay() async throws {
        let bodies = Mutex<[String]>([])
        try await withServer { peer in
            while let body = peer.readRequest() {
                let isSecond = bodies.withLock {
                    $0.append(body)
                    return $0.count == 2
                }
                if isSecond { return }
                peer.answer()
            }
        } _: { server in
            try await withPoster { poster in
                try await poster.expect(.response(201, "{}"), server.url, "Body=first")
                try await poster.expect(.unknown(.closedWithoutAnswer), server.url, "Body=second")
                // The client is still usable.
                try await poster.expect(.response(201, "{}"), server.url, "Body=third")
            }
        }
        #expect(bodies.withLock { $0 } == ["Body=first", "Body=second", "Body=third"])
    }

    @Test("the same with a reset, and with a reset in the middle of an answer", arguments: ["", "HTTP/1.1 201 Cre"])
    func reset(part: String) async throws {
        let bodies = Mutex<[String]>([])
        try await withServer { peer in
            while let body = peer.readRequest() {
                let isSecond = bodies.withLock {
                    $0.append(body)
                    return $0.count == 2
                }
                if isSecond {
                    peer.write(part)
                    return peer.reset()
                }
                peer.answer()
            }
        } _: { server in
            try await withPoster { poster in
                _ = try await poster.post(server.url, "Body=first")
                let ended = try await poster.post(server.url, "Body=second")
                guard case .unknown = ended else { throw Unexpected(ended) }
            }
        }
        #expect(bodies.withLock { $0 } == ["Body=first", "Body=second"])
    }

    @Test("on a new connection that the server closes after reading it, the outcome is unknown")
    func freshConnection() async throws {
        try await withServer { peer in
            _ = peer.readRequest()
        } _: { server in
            try await withPoster { poster in
                try await poster.expect(.unknown(.closedWithoutAnswer), server.url)
            }
            #expect(server.accepted.count == 1)
        }
    }

    @Test("a connection that the server closed while it idled is not used again, and the POST goes out on a new one")
    func staleConnection() async throws {
        try await withServer { peer in
            _ = peer.readRequest()
            peer.answer()
        } _: { server in
            try await withPoster { poster in
                for _ in 0..<5 {
                    try await poster.expect(.response(201, "{}"), server.url)
                    // The server must have closed the connection before the next POST is sent.
                    try await server.allPeersHaveGone()
                }
            }
            #expect(server.accepted.count == 5)
        }
    }
}

struct Unexpected: Error {
    let ended: Ended
    init(_ ended: Ended) { self.ended = ended }
}
