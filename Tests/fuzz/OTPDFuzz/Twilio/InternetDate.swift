import Glibc

@testable import HTTP
@testable import Twilio

/// A date of mail or HTTP. glibc reads an accepted date as the same time, and so does libcurl if it accepts the date.
func fuzzInternetDate(_ bytes: [UInt8]) {
    let text = bytes.text
    guard let seconds = InternetDate.seconds(text) else { return }
    var words = text.split(separator: " ")
    if words[0].last == "," { words.removeFirst() }
    let zone = words[4]
    var time = time_t(seconds)
    if zone != "GMT", zone != "UTC" {
        let digits = Int(zone.dropFirst())!
        require(digits / 100 < 24 && digits % 100 < 60, "the zone is hours and minutes")
        time += (zone.first == "-" ? -1 : 1) * (digits / 100 * 3_600 + digits % 100 * 60)
    }
    let clock = words[3].split(separator: ":").map { Int($0)! }
    let isLeapSecond = clock[2] == 60
    if isLeapSecond { time -= 1 }
    var parts = tm()
    gmtime_r(&time, &parts)
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec"
    let month = months.dropFirst(Int(parts.tm_mon) * 3).prefix(3)
    require(Int(words[0]) == Int(parts.tm_mday) && words[1] == month, "the day and the month are of the calendar")
    require(Int(words[2]) == Int(parts.tm_year) + 1900, "the year is the same")
    require(clock[0] == Int(parts.tm_hour) && clock[1] == Int(parts.tm_min), "the hour and the minute are the same")
    require(clock[2] == Int(parts.tm_sec) + (isLeapSecond ? 1 : 0), "the second is the same")

    // libcurl's parser knows fewer spellings. If it has an answer, the answer is the same.
    guard let date = AnswerHead.date(Array(text.utf8)) else { return }
    require(date == Int(seconds), "libcurl reads another time: \(date - Int(seconds)) s off")
}
