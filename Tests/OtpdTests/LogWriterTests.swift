import Glibc
import Logging
import Testing

@testable import otpd

/// The writer over real descriptors.
@Suite struct LogWriterTests {
    /// A pipe, closed at the end.
    final class Pipe {
        let reader: Int32
        private(set) var writer: Int32

        init(nonBlocking: Bool = false) throws {
            var ends: [Int32] = [0, 0]
            let made = pipe(&ends)
            (reader, writer) = (ends[0], ends[1])
            try #require(made == 0)
            if nonBlocking { for end in ends { try #require(fcntl(end, F_SETFL, O_NONBLOCK) == 0) } }
        }

        deinit {
            close(reader)
            closeWriter()
        }

        func closeWriter() {
            if writer >= 0 { close(writer) }
            writer = -1
        }

        /// What is there now, or an empty text.
        func available() -> String {
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            let count = read(reader, &buffer, buffer.count)
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
    }

    private func report(_ lost: Int, _ reason: String) -> String { "lost \(lost): \(reason)\n" }

    @Test func linesArriveInOrder() throws {
        let pipe = try Pipe()
        let writer = LineWriter(descriptor: pipe.writer)
        for line in ["a\n", "b\n", "é\n"] { writer.write(line, report: report) }
        #expect(pipe.available() == "a\nb\né\n")
    }

    /// Counts what comes through a pipe until its writers are gone, on a thread of its own: blocked tasks would starve
    /// the pool that the writer needs.
    ///
    /// `@unchecked Sendable`: the thread writes `total`, and it is read only after `pthread_join`.
    final class Counter: @unchecked Sendable {
        private let reader: Int32
        private var total = 0
        private var thread = pthread_t()

        init(reader: Int32) throws {
            self.reader = reader
            let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
                if let context { Unmanaged<Counter>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }
            try #require(pthread_create(&thread, nil, body, Unmanaged.passRetained(self).toOpaque()) == 0)
        }

        private func run() {
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while true {
                var wanted = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
                poll(&wanted, 1, -1)
                let count = read(reader, &buffer, buffer.count)
                if count == 0 { return }
                total += max(0, count)
            }
        }

        func finish() -> Int {
            pthread_join(thread, nil)
            return total
        }
    }

    @Test(arguments: [(20_000, 100), (1, 1 << 20)])
    func aFullNonBlockingPipeLosesNothing(lines: Int, size: Int) throws {
        let pipe = try Pipe(nonBlocking: true)
        // Megabytes through a pipe of 64 KB: the writer meets EAGAIN again and again.
        let counter = try Counter(reader: pipe.reader)
        let writer = LineWriter(descriptor: pipe.writer)
        let line = String(repeating: "x", count: size - 1) + "\n"
        for _ in 0..<lines { writer.write(line) { _, _ in "" } }
        pipe.closeWriter()
        #expect(counter.finish() == lines * size)
    }

    @Test func linesThatCannotBeWrittenAreCountedAndTold() throws {
        let pipe = try Pipe()
        // Descriptor numbers are taken up again by dup2, so the same writer meets a full disk, then a pipe.
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        try #require(full >= 0)
        defer { close(full) }
        let writer = LineWriter(descriptor: full)
        for line in ["a\n", "b\n", "c\n"] { writer.write(line, report: report) }
        try #require(dup2(pipe.writer, full) == full)
        writer.write("d\n", report: report)
        writer.write("e\n", report: report)
        #expect(pipe.available() == "lost 3: No space left on device\nd\ne\n")
    }

    @Test func theHandlerMergesFromFarToNear() throws {
        let pipe = try Pipe()
        var handler = StderrLogHandler(
            level: .info, format: .journal, writer: LineWriter(descriptor: pipe.writer),
            now: { Timestamp(milliseconds: 0) })
        handler.metadataProvider = Logger.MetadataProvider { ["a": "provider", "b": "provider", "c": "provider"] }
        handler[metadataKey: "b"] = "handler"
        handler[metadataKey: "c"] = "handler"
        let made = handler
        let logger = Logger(label: "test") { _ in made }
        logger.info("Hello", metadata: ["c": "event"])
        logger.debug("Too low")
        #expect(pipe.available() == "<6>Hello a=provider b=handler c=event\n")
    }

    @Test(arguments: [
        (LogSettings.Format.text, false, LogFormat.text), (.text, true, .journal), (.json, false, .json),
        (.json, true, .journalJSON),
    ])
    func formats(format: LogSettings.Format, journal: Bool, result: LogFormat) {
        #expect(LogFormat(format, journal: journal) == result)
    }

    @Test func journaldIsRecognisedByDeviceAndInode() throws {
        var status = stat()
        try #require(fstat(2, &status) == 0)
        #expect(JournalStream.isStandardError(["JOURNAL_STREAM": "\(status.st_dev):\(status.st_ino)"]))
        #expect(!JournalStream.isStandardError(["JOURNAL_STREAM": "\(status.st_dev):\(status.st_ino + 1)"]))
        #expect(!JournalStream.isStandardError([:]))
    }
}
