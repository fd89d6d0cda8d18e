import EventLoop
import OTP
import Queue
import Testing
import Twilio

@testable import Worker

@Suite struct CatalogTests {
    @Test("it is stale once after each change, and the heartbeat is woken")
    func staleness() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            #expect(!parts.catalog.takeStale())
            parts.catalog.changed()
            await parts.core.statusChanged.wait()
            #expect(parts.catalog.takeStale())
            #expect(!parts.catalog.takeStale())
        }
    }

    @Test("rows that can't be used are logged, and cost no others")
    func badRows() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            var read = rows()
            read.templates.append(.init(purpose: "login", locale: "tr", text: "no place for it"))
            read.senders = ["TR": "no sender at all, since it is too long"]
            parts.catalog.read(read)
            #expect(
                parts.log.messages == [
                    "cannot use a country's sender; its jobs wait",
                    "cannot use a template; keeping the last usable one",
                ])
            _ = try parts.catalog.templates.template(purpose: "login", locale: "en")
            #expect(throws: (any Error).self) { try parts.catalog.senders.form(country: "TR") }
            _ = try parts.catalog.senders.form(country: "SA")
        }
    }

    @Test("rates reach the machine")
    func rates() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            var read = rows()
            read.senderRates = ["+15550001": 10]
            parts.catalog.read(read)
            #expect(parts.core.machine.rates.rate(of: "+15550001") == 10)
        }
    }
}
