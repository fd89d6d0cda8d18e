internal import Queue

/// Describes one send job for a person: its outcome, the remedy, and the time of each event.
struct JobStory {
    /// The values by the columns of `otp.job_details`.
    let values: [String: String]
    let sends: ReadStatus.Part?

    init(_ values: [String: String], sends: ReadStatus.Part? = nil) {
        self.values = Self.safe(values)
        self.sends = sends
    }

    /// A row's values by the names of its columns, without NULLs.
    static func values(_ part: ReadStatus.Part, _ row: [String?]) -> [String: String] {
        var values: [String: String] = [:]
        for (name, value) in zip(part.columns, row) where value != nil { values[name] = value }
        return values
    }

    /// The values with control characters escaped. Subjects come from a backend, and statuses come from Twilio.
    private static func safe(_ values: [String: String]) -> [String: String] {
        values.mapValues { SingleLine.escaped($0) }
    }

    func lines(width: Int) -> [StyledLine] {
        let state = values["job_state"] ?? ""
        var title = StyledLine("Send job \(values["send_job_id"] ?? ""): ", .bold)
        title.append(state, Self.isBad(values) ? .bad : .bold)
        if let status = values["message_status"] { title.append(", Twilio says \(status)") }
        var lines = [title.fitted(width)]
        for (name, text) in facts {
            let indent = 14
            let wrapped = TextLayout.wrap(text, width - indent - 2)
            for (index, part) in wrapped.enumerated() {
                var line = StyledLine("  " + TextLayout.pad(index == 0 ? name : "", indent), .dim)
                line.append(part, name == "To do" ? .bold : .plain)
                lines.append(line)
            }
        }
        lines.append(StyledLine())
        for (moment, text) in timeline {
            let wrapped = TextLayout.wrap(text, width - 26)
            for (index, part) in wrapped.enumerated() {
                var line = StyledLine("  " + TextLayout.pad(index == 0 ? moment : "", 24), .dim)
                line.append(part)
                lines.append(line.fitted(width))
            }
        }
        let others = sends?.rows.filter { sends?.value("send_job_id", of: $0) != values["send_job_id"] } ?? []
        if !others.isEmpty, let sends {
            lines += [StyledLine(), StyledLine("Other sends of this code", .bold)]
            for row in others {
                let other = Self.safe(Self.values(sends, row))
                var line = StyledLine("  " + TextLayout.pad(other["requested_at"] ?? "", 24), .dim)
                line.append("\(other["send_job_id"] ?? "")  ")
                line.append(
                    [other["job_state"], other["message_status"]].compactMap { $0 }.joined(separator: ", "),
                    Self.isBad(other) ? .warning : .plain)
                if let error = other["error"] { line.append("  " + error) }
                lines.append(line.fitted(width))
            }
        }
        return lines
    }

    private static func isBad(_ values: [String: String]) -> Bool {
        ["failed", "expired", "limited"].contains(values["job_state"] ?? "")
            || ["failed", "undelivered"].contains(values["message_status"] ?? "")
    }

    /// Names and texts, the most important first.
    private var facts: [(String, String)] {
        var facts: [(String, String)] = []
        if let error = values["error"] {
            facts.append(("Why", error + (values["error_code"].map { " (Twilio error \($0))" } ?? "")))
        }
        if let remedy = values["remedy"] { facts.append(("To do", remedy)) }
        switch values["job_state"] {
        case "queued":
            if let key = values["hold_key"] {
                let isRate = values["hold_kind"] == "rate"
                facts.append(("Waits for", isRate ? "the rate of its sender, \(key)" : "the end of a pause: \(key)"))
            }
        case "unknown":
            let lookups = StatusWords.count(Int(values["lookups"] ?? "") ?? 0, "lookup")
            facts.append(("Waits for", "the next lookup (\(lookups) after the grace found no message)"))
        default: break
        }
        var recipient = values["phone_number"] ?? "—"
        if let country = values["country"] { recipient += " (\(country))" }
        if let subject = values["subject"] { recipient += ", subject \(subject)" }
        facts.append(("To", recipient))
        let text = [values["purpose"], values["locale"].map { "in \($0)" }, values["channel"].map { "by \($0)" }]
        facts.append(("Text", text.compactMap { $0 }.joined(separator: " ")))
        if let sid = values["message_sid"] {
            var message = sid
            if let sender = values["sender"] { message += " from \(sender)" }
            if let segments = values["segments"] { message += ", \(StatusWords.count(Int(segments) ?? 0, "segment"))" }
            if let price = values["price"] { message += ", \(StatusWords.cost(price)) \(values["price_unit"] ?? "")" }
            facts.append(("Message", message))
        }
        var attempts = values["attempts"] ?? "0"
        if let worker = values["worker"] { attempts += ", the last by worker \(worker)" }
        facts.append(("Attempts", attempts))
        var verification = values["verification_id"] ?? ""
        if let tries = values["wrong_tries"], tries != "0" {
            verification += ", \(tries) wrong \(tries == "1" ? "try" : "tries")"
        }
        facts.append(("Verification", verification))
        if let first = values["follows"] { facts.append(("Resend of", "send job \(first)")) }
        if let next = values["follow_up"] { facts.append(("Then", next)) }
        return facts
    }

    /// The events with their times, in the order of time.
    private var timeline: [(String, String)] {
        let state = values["job_state"] ?? ""
        let latency =
            values["latency_ms"].flatMap { Double($0) }.map { ", \(StatusWords.milliseconds($0)) later" } ?? ""
        let ended = values["ended_at"] != nil
        let moments: [(String, String?)] = [
            ("code_drawn_at", "the code was generated"),
            ("requested_at", "the send was requested"),
            ("accepted_at", "Twilio accepted the message\(latency)"),
            ("unknown_at", "the outcome became unknown"),
            ("next_lookup_at", "the next lookup"),
            (
                "due_at",
                state == "queued" && values["hold_kind"] != "pause"
                    ? "the job is due" : nil
            ),
            ("lease_expires_at", state == "sending" ? "the worker's lease ends" : nil),
            ("next_poll_at", values["final_at"] == nil ? "the next poll of the message status" : nil),
            ("ended_at", "the job ended: \(state)"),
            (
                "final_at",
                ended && values["message_status"] == nil
                    ? nil : "the final message status: \(values["message_status"] ?? "")"
            ),
            ("verified_at", "the code was used"),
            ("canceled_at", "the verification was canceled"),
            ("code_expires_at", values["code_is_dead"] == "t" ? "the code expired" : "the code expires"),
        ]
        return moments.compactMap { name, text -> (String, String)? in
            guard let text, let moment = values[name] else { return nil }
            return (moment, text)
        }.enumerated().sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }.map(\.element)
    }
}
