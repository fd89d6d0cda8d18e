import Logging
import Testing

@testable import otpd

@Suite struct LogFormatTests {
    private func line(_ format: LogFormat, _ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        format.line(
            LogRecord(
                time: Timestamp(milliseconds: 1_795_353_479_012), level: .info, message: message, metadata: metadata))
    }

    @Test func textIsTimeLevelMessageAndSortedKeys() {
        #expect(
            line(.text, "Worker is ready", ["worker": "7", "address": "a b"])
                == "2026-11-22T13:17:59.012Z info Worker is ready address=\"a b\" worker=7\n")
    }

    @Test(arguments: [
        (Logger.Level.trace, 7), (.debug, 7), (.info, 6), (.notice, 5), (.warning, 4), (.error, 3), (.critical, 2),
    ])
    func journaldGetsThePriorityAndNoTime(level: Logger.Level, priority: Int) {
        let record = LogRecord(time: Timestamp(milliseconds: 0), level: level, message: "m")
        #expect(LogFormat.journal.line(record) == "<\(priority)>m\n")
        #expect(LogFormat.journalJSON.line(record).hasPrefix("<\(priority)>{\"time\":\"1970-01-01T00:00:00.000Z\""))
    }

    @Test(arguments: [
        ("", "\"\""), ("a", "a"), ("a b", "\"a b\""), ("a=b", "\"a=b\""), ("a\"b", "\"a\\\"b\""),
        ("a\\b", "\"a\\\\b\""),
        ("a\nb", "\"a\\nb\""), ("a\r\nb", "\"a\\r\\nb\""), ("\t", "\"\\t\""), ("\u{0}", "\"\\u{0}\""),
        ("\u{1B}[31m", "\"\\u{1B}[31m\""), ("\u{7F}", "\"\\u{7F}\""), ("\u{85}", "\"\\u{85}\""),
        ("\u{2028}", "\"\\u{2028}\""), ("\u{202E}x", "\"\\u{202E}x\""), ("\u{200B}", "\"\\u{200B}\""),
        ("كلمة", "كلمة"), ("a\u{A0}b", "\"a\u{A0}b\""), ("127.0.0.1:80", "127.0.0.1:80"), ("é", "é"),
    ])
    func valuesCannotBreakOutOfTheirPlace(value: String, written: String) {
        #expect(line(.text, "m", ["k": .string(value)]) == "2026-11-22T13:17:59.012Z info m k=\(written)\n")
    }

    @Test(arguments: ["a\nb", "a\r\nb", "a\u{0B}b", "a\u{0}b", "a\u{85}b", "a\u{2028}b", "a\u{2029}b", "a\u{1B}c"])
    func oneRecordIsOneLineWhateverIsInIt(text: String) {
        for format in [LogFormat.text, .journal, .json, .journalJSON] {
            let line = line(format, text, [text: .string(text), "a": .array([.string(text)]), "d": [text: "x"]])
            #expect(line.unicodeScalars.filter { SingleLine.mustEscape($0) } == ["\n"])
            #expect(line.hasSuffix("\n"))
        }
    }

    @Test func nestedValuesInText() {
        #expect(
            line(.journal, "m", ["a": ["x", "y"], "d": ["k": "v", "b": "c"]])
                == "<6>m a=\"[x, y]\" d=\"{b: c, k: v}\"\n")
    }

    @Test func jsonKeepsNumbersAndShape() {
        let metadata: Logger.Metadata = [
            "count": .stringConvertible(3), "share": .stringConvertible(0.5), "flag": .stringConvertible(true),
            "nan": .stringConvertible(Double.nan), "text": "3", "list": ["a", "b"], "map": ["b": "2", "a": "1"],
            "big": .stringConvertible(UInt64.max),
        ]
        #expect(
            line(.json, "m", metadata)
                == #"{"time":"2026-11-22T13:17:59.012Z","level":"info","message":"m","big":18446744073709551615,"#
                + #""count":3,"flag":true,"list":["a","b"],"map":{"a":"1","b":"2"},"nan":"nan","share":0.5,"text":"3"}"#
                + "\n")
    }

    @Test func metadataCannotReplaceTheRecordsOwnFields() {
        #expect(
            line(.json, "m", ["message": "x", "time": "y", "level": "z"]).hasSuffix(
                #""message":"m","level_":"z","message_":"x","time_":"y"}"# + "\n"))
    }

    @Test(arguments: [
        ("a", "\"a\""), ("\"", "\"\\\"\""), ("\\", "\"\\\\\""), ("\u{0}", "\"\\u0000\""), ("\u{1F}", "\"\\u001f\""),
        ("\u{7F}", "\"\\u007f\""), ("\u{2028}", "\"\\u2028\""), ("ع😀", "\"ع😀\""), ("a/b", "\"a/b\""),
    ])
    func jsonStrings(text: String, written: String) {
        var json = ""
        JSONText.append(text, to: &json)
        #expect(json == written)
    }

    @Test(arguments: ["0", "-0", "1", "10", "-1.5", "0.00075", "1e5", "1.5E-3", "12e+4", "-0.0"])
    func jsonNumbers(text: String) { #expect(JSONText.isNumber(text)) }

    @Test(arguments: [
        "", "-", "+1", "01", ".5", "5.", "1e", "1e+", "NaN", "Infinity", "0x1", "1 ", "٣", "1.2.3", "--1",
    ])
    func noJSONNumbers(text: String) { #expect(!JSONText.isNumber(text)) }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_799_999, "2000-02-29T23:59:59.999Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"), (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (1_767_225_599_999, "2025-12-31T23:59:59.999Z"), (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ])
    func timestamps(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
    }

    @Test func everyDayOfFourCenturiesFollowsTheOneBefore() {
        // The calendar by counting, against the calendar by formula.
        var (year, month, day) = (1970, 1, 1)
        func length(_ month: Int, _ year: Int) -> Int {
            if month == 2 { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28 }
            return [4, 6, 9, 11].contains(month) ? 30 : 31
        }
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        for index in Int64(0)..<146_097 {
            let text = Timestamp(milliseconds: index * 86_400_000).description
            guard text.hasPrefix("\(year)-\(two(month))-\(two(day))T") else {
                Issue.record("day \(index) is \(text), not \(year)-\(month)-\(day)")
                return
            }
            day += 1
            if day > length(month, year) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
    }
}
