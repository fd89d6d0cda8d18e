internal import OTP
internal import Queue

/// Checks the guard against codes that are sent and never used.
enum FraudChecks {
    static let check = Check("fraud", "Fraud")
    /// From this many texts a day on, the share without a client address says something.
    static let fewest = 20

    static func findings(_ fraud: ReadFraud.Coverage) -> [Finding] {
        guard fraud.isCounted else {
            return [
                check.warn(
                    "otp.limits has no rows for unused codes, so nothing is held back.",
                    "Insert them again, such as INSERT INTO otp.limits (scope, period, max_sends) VALUES "
                        + "('unused_network', '1 day', 5), ('unused_country', '1 day', 30), ('unused_all', '1 day', 30);"
                )
            ]
        }
        var findings = fraud.holds.map { hold in
            check.warn("Requests are held back: \(hold.name). \(Sentence.ended(hold.explanation))", hold.remedy)
        }
        if fraud.action == "observe" {
            findings.append(
                check.warn(
                    "Codes that are not used are only observed: a stranger may spend up to the day's limits.",
                    "When otp.fraud_decisions shows no holds of real users: UPDATE otp.settings SET fraud_action = 'hold';"
                ))
        }
        if fraud.sentToday >= fewest, fraud.withoutAddress * 2 > fraud.sentToday {
            findings.append(
                check.warn(
                    "\(fraud.withoutAddress) of the \(fraud.sentToday) texts of today have no client address. otpd cannot "
                        + "tell their users from strangers.",
                    "Let your backend pass the user's own address as client_ip to otp.request."))
        }
        if findings.isEmpty {
            let allowed = [fraud.total.map { "\($0) texts" }, fraud.budget].compactMap { $0 }.joined(separator: " and ")
            findings = [check.pass("Nothing is held back." + (allowed.isEmpty ? "" : " Today allows \(allowed)."))]
        }
        if let lookups = fraud.lookups {
            findings.append(
                check.pass(
                    "During a hold, phone numbers are looked up at Twilio: at most \(lookups) in 24 hours, and "
                        + "\(fraud.lookedUp) in the last 24. Twilio charges for each, by its price of SMS Pumping Risk."
                ))
        }
        return findings
    }
}
