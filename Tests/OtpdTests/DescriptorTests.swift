import Testing

@testable import otpd

/// The limit on open files against what a worker may have under way.
@Suite struct DescriptorTests {
    /// By limit, OTPD_MAX_IN_FLIGHT, servers.
    @Test(
        arguments: [
            (1024, 64, 0, 64), (1024, 64, 2, 64), (16_384, 10_000, 0, 5453), (524_288, 10_000, 2, 10_000),
            (216, 64, 0, 64), (215, 64, 0, 63), (64, 64, 0, 13), (64, 8, 0, 8), (24, 64, 0, 1), (1, 64, 0, 1),
            (0, 1, 2, 1),
            (482, 64, 1, 64), (481, 64, 1, 64), (256, 64, 1, 52), (256, 64, 2, 28), (64, 64, 2, 1),
            (.max, 10_000, 2, 10_000),
        ] as [(Int, Int, Int, Int)])
    func windows(limit: Int, wanted: Int, servers: Int, window: Int) {
        let plan = DescriptorPlan(limit: limit, wanted: wanted, servers: servers)
        #expect(plan.window == window)
        #expect(plan.isShort == (window < wanted) && (plan.note != nil) == plan.isShort)
        // What is asked for is enough.
        #expect(DescriptorPlan(limit: plan.needed, wanted: wanted, servers: servers).window == wanted)
    }

    @Test func theDoctorSaysIt() {
        let short = DescriptorCheck.finding(limit: 64, maxInFlight: 64, servers: 0)
        #expect(short.verdict == .warn && short.found.contains("at most 13") && short.remedy?.contains("216") == true)
        #expect(DescriptorCheck.finding(limit: 1024, maxInFlight: 64, servers: 2).verdict == .pass)
        #expect(DescriptorCheck.finding(limit: nil, maxInFlight: 64, servers: 2).verdict == .skip)
        #expect(DescriptorCheck.finding(limit: 64, maxInFlight: nil, servers: 2).verdict == .skip)
    }
}
