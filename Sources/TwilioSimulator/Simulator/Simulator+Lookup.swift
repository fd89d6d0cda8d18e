/// Lookup: the risk of a number. At Twilio it is on another host, here on the same.
extension Simulator {
    static let lookupPrefix = "/v2/PhoneNumbers/"
    /// Without a plus, or with one that is escaped or not.
    private static let pluses = ["%2B", "%2b", "+", ""]

    /// `GET /v2/PhoneNumbers/+…?Fields=sms_pumping_risk`. Without the field the answer has no risk, as at Twilio.
    func lookUp(_ request: Request) -> Result<Answer, TwilioError> {
        let written = request.path.dropFirst(Self.lookupPrefix.count)
        let plus = Self.pluses.first { written.hasPrefix($0) } ?? ""
        let digits = written.dropFirst(plus.count)
        guard (7...15).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return .failure(ErrorCatalog.notFound(request.path))
        }
        statistics.lookups += 1
        let fields = (Form(request.query.utf8).text("Fields") ?? "").split(separator: ",")
        var risk = "null"
        if fields.contains("sms_pumping_risk") {
            let score = MagicNumbers.risk(of: Array("+\(digits)".utf8))
            risk = """
                {"carrier_risk_category": \(score.map { $0 > 75 ? "\"high\"" : "\"low\"" } ?? "null"), \
                "number_blocked": \(score.map { $0 > 90 ? "true" : "false" } ?? "null"), "number_blocked_date": null, \
                "number_blocked_last_3_months": null, "sms_pumping_risk_score": \(score.map(String.init) ?? "null"), \
                "error_code": \(score == nil ? "60600" : "null")}
                """
        }
        let body = """
            {"calling_country_code": null, "country_code": null, "phone_number": "+\(digits)", "national_format": null, \
            "valid": true, "validation_errors": [], "caller_name": null, "sim_swap": null, "call_forwarding": null, \
            "line_status": null, "line_type_intelligence": null, "identity_match": null, "reassigned_number": null, \
            "sms_pumping_risk": \(risk), "url": "https://lookups.twilio.com/v2/PhoneNumbers/+\(digits)"}
            """
        return .success(Answer(status: 200, body: Array(body.utf8)))
    }
}
