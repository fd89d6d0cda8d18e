import EventLoop
import OTP
import TestSupport
import Testing

@testable import Worker

/// The times that keep the promise fit into each other.
@Suite struct TimesTests {
    /// For how long a worker trusts its lease, in nanoseconds.
    private static let trustWindow = Times.lease.nanoseconds - Times.margin.nanoseconds

    @Test func aRequestFitsIntoTheTrustWindow() {
        #expect(Times.http.nanoseconds < Self.trustWindow)
        #expect(Self.trustWindow < Times.lease.nanoseconds)
    }

    @Test func aMailFitsIntoTheTrustWindowAndIntoADrain() {
        #expect(Times.mail.nanoseconds < Self.trustWindow)
        #expect(Times.mail < Times.drain)
    }

    @Test func whatIsClaimedAheadIsSentWithinItsLease() {
        #expect(Times.claimedAhead.nanoseconds + Times.http.nanoseconds < Self.trustWindow)
    }

    /// The rest of a code's life is for the way to Twilio, and the job has to be handed over well before.
    @Test(arguments: [(2, 1.5), (29, 28), (300, 28)])
    func theLastByteLeavesBeforeTheCodeExpires(_ life: Int64, _ trusted: Double) {
        let claimedAt = Instant(nanoseconds: 7)
        let waiting = WaitingJob(job(1, life: .seconds(life)), claimedAt: claimedAt)
        #expect((waiting.trustedUntil - claimedAt).seconds == trusted)
        #expect(Times.way < .seconds(1))
    }

    /// systemd kills the process after a drain has ended by itself, and before its leases lapse.
    @Test func aDrainEndsBeforeSystemdAndSystemdBeforeTheLease() throws {
        let unit = Repository.read("deploy/otpd.service")
        let line = try #require(unit.split(separator: "\n").first { $0.hasPrefix("TimeoutStopSec=") })
        let stop = Instant.Duration.seconds(try #require(Int64(line.dropFirst("TimeoutStopSec=".count))))
        #expect(Times.drain.nanoseconds + Times.finalBeat.nanoseconds < stop.nanoseconds)
        #expect(stop < Times.lease)
    }

    /// No lookup decides that a message is missing while the request may still arrive at Twilio.
    @Test func theGraceIsLongerThanARequestAndItsLease() {
        #expect(ResolutionRule.grace > Duration.seconds(Double(Times.lease.nanoseconds) / 1e9))
        #expect(ResolutionRule.earlyLookups.allSatisfy { $0 < ResolutionRule.grace })
    }
}
