import OTP

/// A template (after two lines with app and code), filled. The result is the text with its placeholders replaced, byte by
/// byte, and contains no placeholder.
func fuzzTemplate(_ bytes: [UInt8]) {
    let parts = bytes.parts(3)
    guard String(validating: parts[2], as: UTF8.self) != nil else { return }
    let text = parts[2].text
    let app = Array(parts[0].filter { !isBrace($0) }.text.utf8)
    let digits = parts[1].filter { !isBrace($0) }
    let code = try? Code(digits.span)
    let isTemplate = isTemplate(parts[2])
    guard let template = try? Template(text) else {
        require(!isTemplate, "a text with {code} and no other brace is a template")
        return
    }
    require(isTemplate, "a template has {code}, and no brace but those of its places")
    guard let code else { return }
    var secret: [UInt8] = []
    code.append(to: &secret)
    for minutes in [0, 1, 5, 10, 100, Int.max] {
        var rendered = Array("before ".utf8)
        template.render(into: &rendered, app: app, code: code, minutes: minutes)
        let filled = parts[2].replacing("{app}", with: app).replacing("{code}", with: secret)
            .replacing("{minutes}", with: Array(String(minutes).utf8))
        require(rendered == Array("before ".utf8) + filled, "the places are filled and all else is verbatim")
        require(!rendered.contains(where: isBrace), "no place is left")
        require(rendered.contains(sequence: secret), "the code is in it")
        countsSegments(rendered)
    }
    let seconds = bytes.reduce(Int64(0)) { ($0 &* 31 &+ Int64($1)) % 100_000 }
    let minutes = Template.minutes(lifeLeft: .seconds(seconds))
    require(minutes >= 1 && abs(Int64(minutes) * 60 - seconds) <= max(30, 60 - seconds), "minutes are the nearest")
}

private func isBrace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") }

/// Whether there is a `{code}`, and no brace outside of placeholders. Decided by bytes, as SQL finds `{code}`.
private func isTemplate(_ text: [UInt8]) -> Bool {
    // Not replaced by nothing: the text around a placeholder must not form a new one.
    let rest = text.replacing("{app}", with: [0x20]).replacing("{code}", with: [0x20]).replacing(
        "{minutes}", with: [0x20])
    return text.contains(sequence: Array("{code}".utf8)) && !rest.contains { isBrace($0) || $0 == 0 }
}

private func countsSegments(_ bytes: [UInt8]) {
    let count = SegmentCount(utf8: bytes)
    let (alone, joined) = count.encoding == .gsm7 ? (160, 153) : (70, 67)
    require((count.segments == 0) == bytes.isEmpty, "an empty text alone has no segments")
    require(count.segments <= 1 || count.units > alone, "one segment where it fits")
    require(count.units <= (count.segments <= 1 ? alone : count.segments * joined), "the segments hold the text")
    // A character is never split: a segment wastes at most one unit.
    require(count.segments <= 1 || count.units > (count.segments - 1) * (joined - 1), "no segment too many")
    let longer = SegmentCount(utf8: bytes + [UInt8(ascii: "a")])
    require(longer.encoding == count.encoding && longer.units == count.units + 1, "a letter is one unit")
    require((0...1).contains(longer.segments - count.segments), "and one segment more at most")
}
