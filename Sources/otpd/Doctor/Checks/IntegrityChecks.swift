internal import Queue

/// Checks whether the schema is still as it was migrated: its owner, the rights of its functions, stored settings that
/// disturb them, and its sequences.
enum IntegrityChecks {
    static let owner = Check("schema-owner", "Schema's owner")
    static let rights = Check("schema-rights", "Schema's rights")
    static let sequences = Check("sequences", "Sequences")
    static let settings = Check("stored-settings", "Stored settings")
    static let all = [owner, rights, sequences, settings]

    static func owner(_ read: ReadOwner.Owner?, _ remedies: Remedies = Remedies()) -> Finding {
        guard let read else { return owner.skip("This check needs the current schema.") }
        let name = Remedies.identifier(read.name)
        let grant = "GRANT otp_owner TO \(name)\(read.hasMembershipOptions ? " WITH SET TRUE, INHERIT TRUE" : "");"
        let guide = "Then follow the section \"Who owns the schema\" in deploy/docs/install.md."
        if read.isSuperuser {
            return owner.fail(
                .privileges, "The functions run with the rights of \(read.name), a superuser.",
                read.name == "otp_owner"
                    ? "In psql as another superuser: ALTER ROLE otp_owner NOSUPERUSER;"
                    : remedies.administrator("\(grant) \(guide)"))
        }
        if !read.attributes.isEmpty {
            return owner.warn(
                "The functions run with the rights of \(read.name), which has more rights than they need: "
                    + read.attributes.joined(separator: ", ") + ".",
                read.name == "otp_owner"
                    ? remedies.administrator(
                        "ALTER ROLE otp_owner \(read.attributes.map { "NO\($0)" }.joined(separator: " "));")
                    : remedies.administrator("\(grant) \(guide)"))
        }
        return owner.pass(
            "The functions run with the rights of \(read.name), which has no rights that they do not need.")
    }

    static func rights(_ missing: [ReadMissingRights.Right], _ remedies: Remedies = Remedies()) -> Finding {
        guard !missing.isEmpty else { return rights.pass("The functions have all rights that they need.") }
        let troubles = missing.prefix(3).map(\.trouble).joined(separator: "; ")
        let more = missing.count > 3 ? "; and \(missing.count - 3) more" : ""
        return rights.fail(
            .privileges, "\(troubles)\(more)",
            remedies.administrator(missing.map { "\($0.remedy);" }.joined(separator: " ")))
    }

    static func sequences(_ behind: [AdvanceSequences.Sequence]) -> Finding {
        guard !behind.isEmpty else { return sequences.pass("No sequence is behind the numbers in use.") }
        let found = behind.map { "\($0.sequence) is at \($0.last), but numbers up to \($0.used) are in use." }
        return sequences.fail(
            .configuration, found.joined(separator: " "),
            "Start or restart a worker, which moves the sequences. Or in psql as the schema's owner: "
                + behind.map(\.remedy).joined(separator: " "))
    }

    static func settings(_ stored: [ReadStoredSettings.Entry], _ remedies: Remedies = Remedies()) -> Finding {
        let harms = stored.compactMap { entry in harm(entry).map { (entry, $0.words, $0.isFatal) } }
        guard !harms.isEmpty else { return settings.pass("No stored setting disturbs a backend.") }
        let found = harms.map { "\($0.0.name) of \(SealChecks.place($0.0)): \($0.1)." }.joined(separator: " ")
        let remedy =
            remedies.administrator(harms.map { SealChecks.reset($0.0) }.joined(separator: " "))
            + " It takes effect when sessions connect again."
        return harms.contains { $0.2 } ? settings.fail(.configuration, found, remedy) : settings.warn(found, remedy)
    }

    /// What a stored setting does to a backend's sessions. Nil where it does no harm. Workers set their own values.
    private static func harm(_ entry: ReadStoredSettings.Entry) -> (words: String, isFatal: Bool)? {
        guard let value = entry.value, entry.isWebTier || entry.role == nil || entry.name == "session_replication_role"
        else { return nil }
        switch entry.name {
        case "session_replication_role" where value == "replica":
            return ("triggers do not run, so codes are stored in plain text and are never sent", true)
        case "default_transaction_read_only" where ["on", "true", "yes", "1"].contains(value.lowercased()):
            return ("backends can neither request nor verify codes", entry.isWebTier)
        case "restrict_nonsystem_relation_kind" where value.contains("view"):
            return ("backends cannot call otp.delivery", false)
        case "statement_timeout", "transaction_timeout":
            guard let limit = milliseconds(value), limit > 0, limit < 500 else { return nil }
            return ("PostgreSQL cancels a request that waits for another one after \(value)", false)
        default: return nil
        }
    }

    /// The milliseconds of a time as PostgreSQL writes it: `250`, `250ms`, `2s`, `1min`.
    static func milliseconds(_ text: String) -> Double? {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        guard let number = Double(digits) else { return nil }
        switch text.dropFirst(digits.count).filter({ $0 != " " }) {
        case "", "ms": return number
        case "us": return number / 1_000
        case "s": return number * 1_000
        case "min": return number * 60_000
        case "h": return number * 3_600_000
        case "d": return number * 86_400_000
        default: return nil
        }
    }
}
