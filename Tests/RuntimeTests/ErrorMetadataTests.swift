import Logging
import Postgres
import Runtime
import Testing

/// What the log says about an error of PostgreSQL.
@Suite struct ErrorMetadataTests {
    private func refusal(_ sqlstate: String) -> PostgresError {
        .server(ServerError(severity: "ERROR", sqlstate: sqlstate, message: "no"))
    }

    @Test(
        arguments: [
            ("55P03", "pg_blocking_pids"), ("40P01", "had to yield"), ("53100", "disk"), ("42501", "otpd doctor"),
            ("23514", "constraint"), ("57014", "statement_timeout"), ("XX001", "the server's log"),
        ])
    func eachRefusalHasARemedyOfItsKind(_ sqlstate: String, _ words: String) throws {
        let remedy = try #require(Logger.Metadata.of(refusal(sqlstate))[LogKeys.remedy])
        #expect("\(remedy)".contains(words))
        #expect("\(remedy)".hasSuffix("."))
    }

    @Test func theErrorStandsBesideFurtherKeys() {
        let metadata = Logger.Metadata.of(refusal("55P03"), [LogKeys.count: "3"])
        #expect(metadata[LogKeys.count] == "3")
        #expect(metadata[LogKeys.error] == "PostgreSQL refused the statement: ERROR 55P03: no")
    }

    @Test func anErrorThatNamesItsRemedyGetsNoSecondOne() {
        let lost = PostgresError.lost(Loss(reason: "closed", lastError: nil, outcome: .notSent, isUnanswered: false))
        #expect(Logger.Metadata.of(lost)[LogKeys.remedy] == nil)
    }
}
