import EventLoop
import OTP
import Queue
import Testing

@testable import Worker

@Suite struct StatusReportTests {
    private static let base = WorkerReport(host: "host", pid: 1, version: "1")

    @Test("it tells what was done, and each stretch of latencies once")
    func counts() async throws {
        try await onLoop { loop in
            let (parts, status) = Self.made(loop)
            parts.core.tally.claimed = 3
            parts.core.tally.accepted = 2
            parts.core.tally.failed = 1
            parts.core.tally.latency.add(microseconds: 1000)
            let report = status.make(from: Self.base)
            #expect((report.claimed, report.accepted, report.failed, report.unknown) == (3, 2, 1, 0))
            #expect(report.host == "host" && report.state == .running && report.databaseState == "connected")
            #expect(report.latency.p50 != nil && status.make(from: Self.base).latency.p50 == nil)
            #expect(report.twilioState == "not used yet; fewer, since the limit is low")
        }
    }

    @Test("a pause of everything goes before the worker's own")
    func paused() async throws {
        try await onLoop { loop in
            let (parts, status) = Self.made(loop)
            _ = parts.core.machine.paused(.init(words: "the worker's", remedy: "its remedy"), at: .now())
            #expect(status.make(from: Self.base).reason == "the worker's" && !status.isRunning)
            #expect(status.make(from: Self.base).nextProbe != nil)
            _ = parts.pauses.read([Pause(.all, reason: "by hand", remedy: nil, isProbed: false)], nextProbe: nil)
            let report = status.make(from: Self.base)
            #expect(report.state == .paused && report.reason == "by hand" && report.nextProbe == nil)
            #expect(report.remedy == "Run otpd resume --all to send again." && report.pausedFor != nil)
        }
    }

    @Test("a lost session for results, and a drain, are told")
    func draining() async throws {
        try await onLoop { loop in
            let (parts, status) = Self.made(loop)
            #expect(status.isRunning)
            parts.recorder.end(UnsentEnd(job: 1, attempt: 1, .release))
            parts.recorder.connection(isUp: false)
            parts.core.machine.drain()
            let report = status.make(from: Self.base)
            #expect(report.state == .draining && !status.isRunning)
            #expect(report.databaseState == "the connection for results is lost; 1 waiting")
        }
    }

    private static func made(_ loop: EventLoop) -> (Parts, StatusReport) {
        let parts = Parts(on: loop).ready()
        return (
            parts,
            StatusReport(
                core: parts.core, pauses: parts.pauses, recorder: parts.recorder,
                windowNote: "fewer, since the limit is low")
        )
    }
}
