internal import Queue

/// The table of phone numbers: there, and not so old that new ranges of numbers are refused.
enum NumberTableCheck {
    static let check = Check("phone-numbers", "Phone numbers")

    /// In days: countries open new ranges every month.
    static let longestAge = 365

    static func finding(_ reading: ReadNumberTable.Reading, program: NumberTable) -> Finding {
        let migrate = "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up"
        guard let table = reading.table else {
            return check.fail(.configuration, "the table of phone numbers is empty: every number is refused", migrate)
        }
        if program.isNewer(than: table) {
            return check.warn("the table is \(table), and this otpd brings \(program)", migrate)
        }
        if reading.age > longestAge {
            return check.warn(
                "the table is \(table), \(reading.age) days old: numbers of ranges opened since are refused (OT002)",
                "Install a newer otpd, then run otpd migrate up.")
        }
        return check.pass("libphonenumber \(table)")
    }
}

extension NumberTable {
    /// Where a database's table is not the program's: what that means, and what to do.
    static func news(database: NumberTable?, program: NumberTable) -> String? {
        guard let database else {
            return "the table of phone numbers is empty; this otpd brings \(program). Run: otpd migrate up"
        }
        if program.isNewer(than: database) {
            return "this otpd brings the phone numbers \(program). Run: otpd migrate up"
        }
        if database.isNewer(than: program) {
            return "the phone numbers are newer than this otpd's (\(program)); it leaves them as they are"
        }
        return nil
    }
}
