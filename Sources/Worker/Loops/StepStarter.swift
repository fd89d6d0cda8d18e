import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// Begins the next steps of routes when the waits before them have ended (`otp.begin_steps`).
///
/// It asks every second while a row of `otp.routes` has a wait, and at the very moment where it knows of it. A wait is at
/// least five seconds long, so it is known before it ends. Without such a row it asks nothing. Confined to the loop.
struct StepStarter: BackgroundLoop {
    static let cadence = Instant.Duration.seconds(1)
    static let shortest = Instant.Duration.milliseconds(50)
    static let without = Instant.Duration.seconds(5)

    private let core: DispatchCore
    private let catalog: Catalog
    private let records: ConnectionSource<any StepDatabase>
    private var errors = LogOnce()

    init(_ core: DispatchCore, _ catalog: Catalog, _ records: ConnectionSource<any StepDatabase>) {
        (self.core, self.catalog, self.records) = (core, catalog, records)
    }

    /// Returns how long until the next round.
    mutating func round() async -> Instant.Duration {
        guard catalog.hasWaits else { return Self.without }
        do {
            let begun = try await records.connection().beginSteps()
            errors.succeeded()
            if begun.count > 0 { core.jobsAreDue() }
            return begun.next.map { max(Self.shortest, min(Self.cadence, $0 + .milliseconds(5))) } ?? Self.cadence
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error(
                    "cannot begin the next steps of routes; trying again", metadata: .of(error))
            }
            return Self.cadence
        }
    }

    func pause(_ wait: Instant.Duration) async { try? await core.loop.sleep(for: wait) }
}

/// What the step starter asks of a connection.
protocol StepDatabase: Sendable {
    func beginSteps() async throws(PostgresError) -> BeginSteps.Begun
}

extension Connection: StepDatabase {
    nonisolated func beginSteps() async throws(PostgresError) -> BeginSteps.Begun {
        try await BeginSteps.run(on: self, deadline: .now() + Times.statement)
    }
}
