/// What users did with their messages.
extension Simulator {
    static let feedbackSuffix = "/Feedback.json"

    /// `POST …/Messages/SM…/Feedback.json`. A message created without `ProvideFeedback` has no such resource. Twilio's pages
    /// do not say what it answers then; the simulator is strict.
    func recordFeedback(about sid: some Collection<UInt8>, _ request: Request, at now: Microseconds)
        -> Result<Answer, TwilioError>
    {
        guard let sequence = sids.sequence(of: sid), let message = store.message(sequence),
            message.record.feedback != .none
        else { return .failure(ErrorCatalog.notFound(request.path)) }
        let outcome = Form(request.body).text("Outcome") ?? "confirmed"
        switch outcome {
        case "confirmed": store.record(.confirmed, for: sequence)
        case "unconfirmed": store.record(.unconfirmed, for: sequence)
        default: return .failure(ErrorCatalog.invalidParameter("Outcome", "must be confirmed or unconfirmed"))
        }
        statistics.feedbacks += 1
        let date = Dates.rfc2822(seconds: now / 1_000_000)
        let body = """
            {"account_sid": "\(settings.accountSID)", "date_created": "\(date)", "date_updated": "\(date)", \
            "message_sid": "\(String(utf8: sid))", "outcome": "\(outcome)", "uri": "\(request.path)"}
            """
        return .success(Answer(status: 200, body: Array(body.utf8)))
    }
}
