/// Dates as mail and HTTP write them: `Thu, 24 Aug 2023 05:01:45 +0000` (RFC 2822), `… 05:01:45 GMT` (RFC 9110).
///
/// Parsed by hand, because `DateFormatter` would link full Foundation (50 MB).
enum InternetDate {
    private static let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Seconds since 1970; nil for anything other than such a date.
    static func seconds(_ text: String) -> Int64? {
        guard text.utf8.count <= 64 else { return nil }
        var words = text.split(separator: " ")
        // The name of the day is ignored, even if it is wrong.
        if let first = words.first, first.hasSuffix(",") {
            guard weekdays.contains(String(first.dropLast())) else { return nil }
            words.removeFirst()
        }
        guard words.count == 5, let day = number(words[0], 1...31),
            let month = months.firstIndex(of: String(words[1])), let year = number(words[2], 1970...9999),
            day <= days(ofMonth: month, in: year)
        else { return nil }
        let clock = words[3].split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3, let hour = number(clock[0], 0...23), let minute = number(clock[1], 0...59),
            let second = number(clock[2], 0...60), let zone = offset(words[4])
        else { return nil }
        return daysSince1970(year, month + 1, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone
    }

    /// A number of digits alone, within bounds.
    private static func number(_ text: Substring, _ bounds: ClosedRange<Int64>) -> Int64? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int64(text), bounds.contains(number)
        else { return nil }
        return number
    }

    /// `GMT` or `+0300`, in seconds east.
    private static func offset(_ text: Substring) -> Int64? {
        if text == "GMT" || text == "UTC" { return 0 }
        guard text.utf8.count == 5, let sign = text.first, sign == "+" || sign == "-",
            let digits = number(text.dropFirst(), 0...2_359), digits % 100 < 60
        else { return nil }
        let seconds = digits / 100 * 3_600 + digits % 100 * 60
        return sign == "-" ? -seconds : seconds
    }

    /// How many days month 0…11 has.
    private static func days(ofMonth month: Int, in year: Int64) -> Int64 {
        switch month {
        case 1: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 3, 5, 8, 10: 30
        default: 31
        }
    }

    /// Days from 1 January 1970 in the Gregorian calendar, with years that begin in March.
    private static func daysSince1970(_ year: Int64, _ month: Int, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * Int64((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
