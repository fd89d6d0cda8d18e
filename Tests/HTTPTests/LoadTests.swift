import EventLoop
import Glibc
import HTTP
import Synchronization
import TestSupport
import Testing

@Suite("Many POSTs", .timeLimit(.minutes(10)))
struct LoadTests {
    @Test("one after the other use one connection")
    func reuse() async throws {
        try await withServer { peer in
            while peer.readRequest() != nil { peer.answer() }
        } _: { server in
            try await withPoster { poster in
                for number in 0..<50 {
                    try await poster.expect(.response(201, "{}"), server.url, "Body=\(number)")
                }
            }
            #expect(server.accepted.count == 1)
        }
    }

    @Test("1,000, 64 at a time: each arrives once and gets its own answer, on 64 connections at most; then all close")
    func load() async throws {
        let arrived = Mutex<[String: Int]>([:])
        try await withServer { peer in
            while let body = peer.readRequest() {
                arrived.withLock { $0[body, default: 0] += 1 }
                peer.answer("201 Created", body)
            }
        } _: { server in
            try await withPoster { poster in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<64 {
                        group.addTask {
                            for number in stride(from: worker, to: 1000, by: 64) {
                                let ended = try await poster.post(server.url, "Body=\(number)")
                                #expect(ended == .response(201, "Body=\(number)"))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(await poster.inFlight() == 0)
                #expect(await poster.openConnections() == server.accepted.count)
                #expect(RawServer.descriptors(connectedTo: server.port) == server.accepted.count)
            }
            #expect(server.accepted.count <= 64)
            #expect(RawServer.descriptors(connectedTo: server.port) == 0)
            #expect(arrived.withLock { $0.count } == 1000)
            #expect(arrived.withLock { $0.values.allSatisfy { $0 == 1 } })
        }
    }

    @Test("more at once than there may be connections wait for one")
    func queueing() async throws {
        var configuration = HTTPConfiguration()
        configuration.maxConnections = 4
        try await withServer { peer in
            while let body = peer.readRequest() { peer.answer("201 Created", body) }
        } _: { server in
            try await withPoster(configuration) { poster in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<200 {
                        group.addTask {
                            let ended = try await poster.post(server.url, "Body=\(number)")
                            #expect(ended == .response(201, "Body=\(number)"))
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(await poster.openConnections() <= 4)
            }
            #expect(server.accepted.count <= 4)
        }
    }

    @Test("a host that refuses every connection at once does not keep the loop from its other work")
    func refusals() async throws {
        let url = try "http://127.0.0.1:\(Loopback.closedPort())/"
        // On a busy machine, libcurl 8.14 needs seconds to begin them all.
        var configuration = HTTPConfiguration()
        (configuration.connectTimeout, configuration.totalTimeout) = (.seconds(120), .seconds(120))
        try await withPoster(configuration) { poster in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<500 {
                    group.addTask {
                        let ended = try await poster.post(url)
                        #expect(ended == .notSent(.connectFailed(errno: ECONNREFUSED)))
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
