internal import Queue

/// Checks that the table of phone numbers is filled and not too old. An old table refuses new ranges of numbers.
enum NumberTableCheck {
    static let check = Check("phone-numbers", "Phone numbers")

    /// The longest age in days. Countries open new ranges every month.
    static let longestAge = 365

    static func finding(_ reading: ReadNumberTable.Reading, program: NumberTable) -> Finding {
        let migrate = "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up"
        guard let table = reading.table else {
            return check.fail(
                .configuration, "The table of phone numbers is empty, so every number is refused.", migrate)
        }
        if program.isNewer(than: table) {
            return check.warn("The table is \(table), but this otpd brings \(program).", migrate)
        }
        if reading.age > longestAge {
            return check.warn(
                "The table is \(table), which is \(reading.age) days old. Numbers of newer ranges are refused (OT002).",
                "Install a newer otpd. Then, as the schema's owner: otpd migrate up")
        }
        return check.pass("libphonenumber \(table)")
    }
}

extension NumberTable {
    /// A note for a database whose table is not the program's. Nil where they are the same.
    static func news(database: NumberTable?, program: NumberTable) -> String? {
        guard let database else {
            return "the table of phone numbers is empty. Load \(program): otpd migrate up"
        }
        if program.isNewer(than: database) {
            return "this otpd has newer phone numbers. Load \(program): otpd migrate up"
        }
        if database.isNewer(than: program) {
            return "the database has newer phone numbers than this otpd (\(program)), which keeps them"
        }
        return nil
    }
}
