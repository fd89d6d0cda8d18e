import Glibc
import TestSupport
import Testing

@testable import otpd

/// The notifier against a real datagram socket, as systemd has one.
@Suite struct NotifierTests {
    @Test(arguments: [false, true])
    func everyNoticeIsOneDatagram(abstract: Bool) throws {
        let receiver = try NotifySocket(isAbstract: abstract)
        let notifier = try #require(try Notifier.connect(environment: ["NOTIFY_SOCKET": receiver.name]))
        try notifier.ready(status: "Database: connecting")
        try notifier.status("Running: 3 in flight")
        try notifier.watchdog()
        try notifier.reloaded()
        try notifier.stopping(status: "Draining")
        #expect(receiver.next() == "READY=1\nSTATUS=Database: connecting")
        #expect(receiver.next() == "STATUS=Running: 3 in flight")
        #expect(receiver.next() == "WATCHDOG=1")
        #expect(receiver.next() == "READY=1")
        #expect(receiver.next() == "STOPPING=1\nSTATUS=Draining")
        #expect(receiver.next() == nil)
    }

    /// systemd tells reloads apart by the monotonic clock.
    @Test func aReloadBeginsWithItsTime() throws {
        let receiver = try NotifySocket(isAbstract: true)
        let notifier = try Notifier(path: receiver.name)
        func now() -> Int64 {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
        }
        let before = now()
        try notifier.reloading()
        let after = now()
        let lines = try #require(receiver.next()).split(separator: "\n")
        #expect(lines.first == "RELOADING=1")
        let time = try #require(lines.last.flatMap { Int64($0.dropFirst("MONOTONIC_USEC=".count)) })
        #expect(lines.count == 2 && (before...after).contains(time))
    }

    @Test func aStatusCannotAddAssignments() throws {
        let receiver = try NotifySocket(isAbstract: true)
        try Notifier(path: receiver.name).status("x\nMAINPID=1")
        #expect(receiver.next() == "STATUS=x\\nMAINPID=1")
    }

    @Test(arguments: [[:], ["NOTIFY_SOCKET": ""]] as [[String: String]])
    func withoutASocketThereIsNothingToSay(environment: [String: String]) throws {
        #expect(try Notifier.connect(environment: environment) == nil)
    }

    @Test(arguments: [
        ("/nonexistent/notify", "No such file or directory"), ("@otpd-nobody-listens-here", "Connection refused"),
        ("relative", "neither a path"), ("vsock:2:1234", "neither a path"),
        ("/" + String(repeating: "x", count: 107), "longer than the 108 bytes"),
        ("@" + String(repeating: "x", count: 108), "longer than the 108 bytes"),
    ])
    func aSocketThatCannotBeUsedIsAClearError(path: String, reason: String) {
        let error = #expect(throws: NotifierError.self) {
            try Notifier.connect(environment: ["NOTIFY_SOCKET": path])
        }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.description.contains("If systemd does not start otpd, unset it") == true)
    }

    @Test func aSocketThatDiesIsAnErrorAndNotASignal() throws {
        var receiver: NotifySocket? = try NotifySocket(isAbstract: true)
        let notifier = try Notifier(path: try #require(receiver?.name))
        receiver = nil
        #expect(throws: NotifierError.notSent(reason: "Connection refused")) { try notifier.watchdog() }
    }

    @Test(
        arguments: [
            ([:], nil), (["WATCHDOG_USEC": ""], nil), (["WATCHDOG_USEC": "30000000"], 30_000_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"], 30_000_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"], nil),
            (["WATCHDOG_USEC": "nonsense", "WATCHDOG_PID": "8"], nil),
        ] as [([String: String], Int64?)])
    func watchdogs(environment: [String: String], microseconds: Int64?) throws {
        let watchdog = try Watchdog.read(environment: environment, processID: 7)
        #expect(watchdog?.timeout == microseconds.map { .microseconds($0) })
        #expect(watchdog?.interval == microseconds.map { .microseconds($0 / 2) })
    }

    @Test(arguments: ["0", "-1", "x", "1.5", "99999999999999999999", " 1"])
    func watchdogsThatMakeNoSense(value: String) {
        #expect(throws: WatchdogError(variable: "WATCHDOG_USEC", value: value)) {
            try Watchdog.read(environment: ["WATCHDOG_USEC": value], processID: 7)
        }
        #expect(throws: WatchdogError(variable: "WATCHDOG_PID", value: value)) {
            try Watchdog.read(environment: ["WATCHDOG_USEC": "1", "WATCHDOG_PID": value], processID: 7)
        }
    }
}
