import Testing

@testable import OTPDBench

struct FigureTests {
    @Test func percentilesAreNearestRanks() {
        let values = (1...200).map { Int64($0) }.shuffled()
        #expect(Statistics.percentile(values, 0.5) == 100)
        #expect(Statistics.percentile(values, 0.99) == 198)
        #expect(Statistics.percentile(values, 0) == 1)
        #expect(Statistics.percentile(values, 1) == 200)
        #expect(Statistics.percentile([Int64](), 0.5) == 0)
    }

    @Test func medianOfAnEvenCountLiesBetween() {
        #expect(Statistics.median([4, 1, 2]) == 2)
        #expect(Statistics.median([4, 1, 2, 3]) == 2.5)
    }

    @Test func curveHalvesWhatIsSlowerEveryFourPoints() {
        let curve = Percentiles(microseconds: (1...1000).map { Int64($0) * 1000 }).curve
        #expect(curve[0] == Percentiles.Point(share: 0, milliseconds: 1))
        #expect(curve[4].milliseconds == 500)
        #expect(curve[8].milliseconds == 750)
        // Up to the point where one value of the thousand is slower, and no further.
        #expect(curve.count == 40)
        #expect(curve.last?.milliseconds == 999)
    }

    @Test func oldestFirstHandlesOneAfterTheOther() {
        // Four at once, at ten a second; the fifth finds an empty queue. Out of order, as several connections deliver
        // them.
        let handled = Overload.oldestFirst([0, 900_000, 0, 0, 0], perSecond: 10)
        #expect(handled == [0, 900_000, 100_000, 200_000, 300_000])
    }

    @Test func delaysAreCountedInBucketsThatDouble() {
        let buckets = Steady.histogram([-3, 250, 251, 500, 1999, 2000, 2001])
        #expect(buckets.map(\.milliseconds) == [0.25, 0.5, 1, 2, 4])
        #expect(buckets.map(\.codes) == [2, 2, 0, 2, 1])
        #expect(Steady.histogram([]).map(\.codes) == [0])
    }

    @Test func backlogGrowsInHalfDecadesToTheMostAskedFor() {
        #expect(Backlog.sizes(upTo: 100_000) == [10_000, 30_000, 100_000])
        #expect(Backlog.sizes(upTo: 250_000) == [10_000, 30_000, 100_000, 250_000])
    }

    @Test(arguments: [(1234.5, 0, "1235"), (0.049, 2, "0.05"), (-1.5, 1, "-1.5"), (.nan, 2, "—")])
    func numbersAreRounded(value: Double, digits: Int, text: String) {
        #expect(Table.number(value, digits) == text)
    }
}
