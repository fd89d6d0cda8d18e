/// Dates in Twilio's formats, in UTC, without Foundation.
enum Dates {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Thu, 24 Aug 2023 05:01:45 +0000`
    static func rfc2822(seconds: Int64) -> String {
        let (day, second) = seconds.quotientAndRemainder(dividingBy: 86400)
        let date = civil(day: day)
        let time = [second / 3600, second / 60 % 60, second % 60].map(twoDigits).joined(separator: ":")
        let name = days[Int(day % 7)]
        return "\(name), \(twoDigits(date.day)) \(months[Int(date.month) - 1]) \(date.year) \(time) +0000"
    }

    /// The seconds that `YYYY-MM-DD` (a whole day) or `YYYY-MM-DDTHH:MM:SSZ` (one second) covers, or nil.
    static func parse(_ text: String) -> ClosedRange<Int64>? {
        let bytes = Array(text.utf8)
        guard bytes.count == 10 || bytes.count >= 19,
            bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let midnight = daysSinceEpoch(year: year, month: month, day: day) * 86400
        if bytes.count == 10 { return midnight...midnight + 86399 }
        guard bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: " "), bytes[13] == UInt8(ascii: ":"),
            bytes[16] == UInt8(ascii: ":"), ["", "Z", "+00:00"].contains(String(utf8: bytes[19...])),
            let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]), let second = number(bytes[17..<19]),
            hour < 24, minute < 60, second < 61
        else { return nil }
        let instant = midnight + hour * 3600 + minute * 60 + second
        return instant...instant
    }

    private static func twoDigits(_ value: Int64) -> String {
        value < 10 ? "0\(value)" : String(value)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int64? {
        bytes.allSatisfy { (0x30...0x39).contains($0) } ? Int64(String(utf8: bytes)) : nil
    }

    /// The date of a day counted from 1970-01-01, proleptic Gregorian, for days from 1970 on.
    private static func civil(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear % 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
