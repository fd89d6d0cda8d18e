/// The `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date.
public enum RetryAfter {
    /// How long to wait; nil where the value is neither, so that one is left to the backoff. `now` in seconds since 1970.
    ///
    /// A date that is past is no wait. More than a day is cut to a day: no code lives longer.
    public static func parse(_ value: String, now: Int64) -> Duration? {
        guard value.utf8.count <= 64 else { return nil }
        let text = String(value.trimmed)
        let day: Int64 = 86_400
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return .seconds(min(Int64(text) ?? day, day))
        }
        guard let date = InternetDate.seconds(text) else { return nil }
        return .seconds(min(max(0, date - now), day))
    }
}
