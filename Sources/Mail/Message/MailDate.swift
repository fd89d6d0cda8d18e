/// Dates of mails (RFC 5322 3.3), in UTC.
enum MailDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `seconds` since 1970, in the years 1970 to 9999, as `Mon, 30 Nov 2026 00:13:45 +0000`.
    static func text(_ seconds: Int64) -> String {
        let seconds = min(max(0, seconds), 253_402_300_799)
        let (day, time) = (seconds / 86_400, seconds % 86_400)
        let (year, month, date) = civil(day)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(days[Int(day % 7)]), \(date) \(months[month - 1]) \(year) "
            + "\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60)) +0000"
    }

    /// Year, month and date of a day since 1970. Years begin in March here, so that the leap day is the last one.
    private static func civil(_ day: Int64) -> (year: Int64, month: Int, date: Int64) {
        let day = day + 719_468
        let era = day / 146_097
        let dayOfEra = day % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let date = dayOfYear - (153 * month + 2) / 5 + 1
        let isNextYear = month >= 10
        return (yearOfEra + era * 400 + (isNextYear ? 1 : 0), Int(month) + (isNextYear ? -9 : 3), date)
    }
}
