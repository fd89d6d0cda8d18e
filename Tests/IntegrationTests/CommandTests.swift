import FoundationEssentials
import Testing

/// `otpd status` and `otpd enqueue`.
@Suite(.database) struct CommandTests {
    let database = TestScope.current?.database
    private var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }

    @Test func statusShowsWhatSQLShows() async throws {
        let database = try #require(database)
        let nobody = try await Otpd.command(["status", "--check"])
        #expect(nobody.code == 69)
        #expect(nobody.errors.contains("No worker is alive"))
        #expect(try await Otpd.command(["status"]).code == 0)

        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567", subject: "user \u{1B}[31m \"quoted\"".filter { $0 != "\u{1B}" })
        try await database.enqueue("+966590021610", subject: "other")
        try await database.becomes("1|1", "SELECT accepted_1h, failed_1h FROM otp.queue_status")
        try await database.becomes("1", "SELECT workers_alive FROM otp.queue_status")
        #expect(try await Otpd.command(["status", "--check"]).code == 0)

        let table = try await Otpd.command(["status"])
        #expect(table.code == 0)
        for word in ["Queue", "Workers", "+9665•••••567", "accepted", "failed", "21610"] {
            #expect(table.output.contains(word))
        }
        #expect(!table.output.contains("501234567"))

        struct Status: Decodable {
            struct Send: Decodable {
                let subject: String
                let phoneNumber: String
                let jobState: String
                let errorCode: Int?
                let attempts: Int
            }
            let deliveryStatus: [Send]
        }
        let json = try await Otpd.command(["status", "--json"])
        let status = try decoder.decode(Status.self, from: Data(json.output.utf8))
        #expect(status.deliveryStatus.map(\.jobState) == ["failed", "accepted"])
        #expect(status.deliveryStatus.map(\.errorCode) == [21610, nil])
        #expect(status.deliveryStatus[1].subject == "user [31m \"quoted\"")
        #expect(!json.output.contains("501234567"))
    }

    @Test func enqueueReadsTheNumberFromStandardInput() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let environment = try Otpd.environment(simulator.url)
        let answer = try await Otpd.command(
            ["enqueue", "--subject", "user-42", "--locale", "ar", "--json"], environment: environment,
            input: "٠٥٠١٢٣٤٥٦٧\n")
        #expect(answer.code == 0, "\(answer.errors)")
        struct Enqueued: Decodable {
            let sendJobId: Int
            let verificationId: Int
        }
        let rows = try decoder.decode([Enqueued].self, from: Data(answer.output.utf8))
        #expect(rows.count == 1)
        try await database.becomes(
            "accepted|user-42|\(rows[0].sendJobId)", "SELECT job_state, subject, send_job_id FROM otp.delivery_status")
        #expect(try simulator.inbox().first?.body.contains("رمز") == true)

        let refused = try await Otpd.command(
            ["enqueue", "--subject", "user-42"], environment: environment, input: "12\n")
        #expect(refused.code == 65)
        #expect(refused.errors.contains("invalid phone number"))
        #expect(try await Otpd.command(["enqueue", "--subject", "a"], environment: environment, input: "").code == 65)
        #expect(try await Otpd.command(["enqueue"], environment: environment, input: "0501234567\n").code == 64)
        #expect(try await Otpd.command(["no-such"]).code == 64)
        let version = try await Otpd.command(["--version"])
        #expect(version.code == 0 && version.output.hasPrefix("otpd "))
    }
}
