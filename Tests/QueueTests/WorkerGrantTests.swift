import Testing

@testable import Queue

@Suite("Grants")
struct WorkerGrantTests {
    @Test("a step's GRANTs are read as PostgreSQL reads them")
    func read() {
        let grants = WorkerGrant.read(
            """
            -- GRANT in a comment, or in the middle of a line: GRANT SELECT ON otp.none TO otp_web;
            GRANT INSERT (id, code), SELECT, UPDATE
                (id) ON otp.a,
                otp.b TO otp_web;
            GRANT EXECUTE ON FUNCTION otp.f, otp.g TO otp_worker, otp_admin;
            GRANT USAGE ON SCHEMA otp TO otp_web;
            GRANT USAGE ON SEQUENCE otp.s TO otp_worker;
            """)
        #expect(
            grants.map(\.statement) == [
                "GRANT INSERT (id) ON otp.a TO otp_web", "GRANT INSERT (code) ON otp.a TO otp_web",
                "GRANT SELECT ON otp.a TO otp_web", "GRANT UPDATE (id) ON otp.a TO otp_web",
                "GRANT INSERT (id) ON otp.b TO otp_web", "GRANT INSERT (code) ON otp.b TO otp_web",
                "GRANT SELECT ON otp.b TO otp_web", "GRANT UPDATE (id) ON otp.b TO otp_web",
                "GRANT EXECUTE ON FUNCTION otp.f TO otp_worker", "GRANT EXECUTE ON FUNCTION otp.g TO otp_worker",
                "GRANT EXECUTE ON FUNCTION otp.f TO otp_admin", "GRANT EXECUTE ON FUNCTION otp.g TO otp_admin",
                "GRANT USAGE ON SCHEMA otp TO otp_web", "GRANT USAGE ON SEQUENCE otp.s TO otp_worker",
            ])
    }

    @Test("every role's list has what it works with")
    func lists() {
        #expect(WorkerGrant.web.map(\.statement).contains("GRANT EXECUTE ON FUNCTION otp.request TO otp_web"))
        #expect(WorkerGrant.web.allSatisfy { $0.role == "otp_web" })
        #expect(WorkerGrant.all.map(\.statement).contains("GRANT DELETE ON otp.send_jobs TO otp_worker"))
        #expect(WorkerGrant.all.allSatisfy { $0.role == "otp_worker" })
    }
}
