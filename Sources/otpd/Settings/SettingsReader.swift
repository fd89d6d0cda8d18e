/// Reads variables one by one and collects every problem.
///
/// A value comes from the first of these sources that has it:
/// 1. the environment variable itself. An empty one counts as not set, as `NAME=` in an env file;
/// 2. for a secret, the file that `<NAME>_FILE` names;
/// 3. for a secret, the systemd credential `$CREDENTIALS_DIRECTORY/<name in lower case>`. An empty one counts as not
///    set: the unit's `SetCredential=` makes it where there is no file to load.
///
/// One line break at the end of a secret's file is removed, because editors and `echo` add it. Any other space around a
/// value is an error: to remove it silently would hide a bad paste, and to keep it would make Twilio answer 401.
struct SettingsReader {
    let environment: [String: String]
    private let readFile: (String) throws -> [UInt8]
    private(set) var problems: [String] = []
    private(set) var warnings: [String] = []
    /// The names of Twilio's missing settings, in the order in which they were read.
    private var missingTwilio: [SettingName] = []

    init(environment: [String: String], readFile: @escaping (String) throws -> [UInt8]) {
        self.environment = environment
        self.readFile = readFile
    }

    /// The value of a name. A `broken` value is already reported.
    enum Found {
        case absent
        case broken
        case value(String)

        var value: String? {
            switch self {
            case .value(let value): value
            case .absent, .broken: nil
            }
        }

        var isAbsent: Bool {
            switch self {
            case .absent: true
            case .value, .broken: false
            }
        }
    }

    mutating func report(_ name: SettingName, _ problem: String) { report(name.rawValue, problem) }

    /// Reports a problem of a variable that a library reads.
    mutating func report(_ variable: String, _ problem: String) {
        problems.append(SingleLine.escaped("\(variable) \(problem)"))
    }

    mutating func warn(_ warning: String) {
        warnings.append(SingleLine.escaped(warning))
    }

    /// Notes a missing setting without which otpd cannot use Twilio.
    mutating func missing(_ name: SettingName) {
        missingTwilio.append(name)
    }

    /// The value of a variable, or of a secret's file.
    mutating func find(_ name: SettingName) -> Found {
        if let value = environment[name.rawValue], !value.isEmpty {
            if name.isSecret, let path = environment[name.fileVariable], !path.isEmpty {
                warn("\(name.rawValue) and \(name.fileVariable) are both set: the file is not read. Unset one of them.")
            }
            return checked(value, name, source: name.rawValue)
        }
        guard name.isSecret else { return .absent }
        if let path = environment[name.fileVariable], !path.isEmpty {
            return readSecret(name, path: path, source: name.fileVariable, mayBeMissing: false)
        }
        if let directory = environment["CREDENTIALS_DIRECTORY"], !directory.isEmpty {
            return readSecret(
                name, path: directory + "/" + name.credential, source: "the credential \(name.credential)",
                mayBeMissing: true)
        }
        return .absent
    }

    /// The parsed value of a variable. Nil when it is absent, or when a problem was reported.
    mutating func parse<Value>(_ name: SettingName, _ parser: (String) throws(InvalidValue) -> Value) -> Value? {
        guard let text = find(name).value else { return nil }
        return parse(text, name, parser)
    }

    mutating func parse<Value>(
        _ text: String, _ name: SettingName, _ parser: (String) throws(InvalidValue) -> Value
    ) -> Value? {
        do {
            return try parser(text)
        } catch {
            report(name, error.reason)
            return nil
        }
    }

    /// The path of a file that a variable names. The file must be readable and pass the check.
    mutating func readableFile(_ name: SettingName, _ check: ([UInt8]) throws(InvalidValue) -> Void) -> String? {
        guard let path = find(name).value else { return nil }
        let bytes: [UInt8]
        do {
            bytes = try readFile(path)
        } catch {
            report(
                name, "names \(SingleLine.quoted(path)), which cannot be read: \(error). Correct the path or its mode.")
            return nil
        }
        return parse(path, name) { (path: String) throws(InvalidValue) in
            try check(bytes)
            return path
        }
    }

    /// Why a file cannot be read. Nil where it can.
    func whyUnreadable(_ path: String) -> String? {
        do {
            _ = try readFile(path)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Warns of variables whose names look like settings of otpd.
    mutating func warnOfUnknownNames() {
        for name in environment.keys.sorted() where !SettingName.allVariables.contains(name) {
            let nearest = Spelling.nearest(to: name, among: SettingName.allVariables)
            if name.hasPrefix("OTPD_") {
                let hint = nearest.map { "Did you mean \($0)?" } ?? "Check its spelling, or unset it."
                warn("\(name) is not a setting of otpd and is ignored. \(hint)")
            } else if name.hasPrefix("TWILIO_"), let nearest, environment[nearest] == nil {
                // Other programs have variables of this prefix too, so only near misses get a warning.
                warn("\(name) is not a setting of otpd and is ignored. Did you mean \(nearest)?")
            }
        }
    }

    /// One line for each problem so far. Twilio's missing names share a line.
    var lines: [String] {
        guard !missingTwilio.isEmpty else { return problems }
        let names = missingTwilio.map(\.rawValue).joined(separator: ", ")
        return ["SMS service not configured: \(names) \(missingTwilio.count == 1 ? "is" : "are") not set"] + problems
    }

    /// Ends the reading: returns the value, or all problems.
    consuming func result<Value>(_ value: Value?) -> Result<Value, SettingsProblems> {
        let lines = lines
        if let value, lines.isEmpty { return .success(value) }
        precondition(!lines.isEmpty, "settings are incomplete, but no problem was reported")
        return .failure(SettingsProblems(lines: lines))
    }

    private mutating func readSecret(
        _ name: SettingName, path: String, source: String, mayBeMissing: Bool
    ) -> Found {
        var bytes: [UInt8]
        do {
            bytes = try readFile(path)
        } catch let error as FileError where error.isMissing && mayBeMissing {
            return .absent
        } catch {
            report(
                name,
                "cannot be read: \(source) is \(SingleLine.quoted(path)): \(error). Correct the path or the file's mode."
            )
            return .broken
        }
        if bytes.last == UInt8(ascii: "\n") {
            bytes.removeLast()
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        }
        guard !bytes.isEmpty else {
            if mayBeMissing { return .absent }
            report(name, "is empty: \(SingleLine.quoted(path)) (\(source)) holds no value. Write the value into it.")
            return .broken
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            report(
                name, "is not text: \(SingleLine.quoted(path)) (\(source)) is not UTF-8. Write it in UTF-8.")
            return .broken
        }
        return checked(text, name, source: source)
    }

    /// Reports a value with space or quotes around it, or with control characters in it.
    private mutating func checked(_ value: String, _ name: SettingName, source: String) -> Found {
        let origin = source == name.rawValue ? "" : " (from \(source))"
        let scalars = value.unicodeScalars
        guard let first = scalars.first, let last = scalars.last else { return .absent }
        switch (Self.isSpace(first), Self.isSpace(last)) {
        case (false, false): break
        case (true, false):
            report(name, "has a space or line break before it\(origin). Remove it.")
            return .broken
        case (false, true):
            report(name, "has a space or line break after it\(origin). Remove it.")
            return .broken
        case (true, true):
            report(name, "has spaces or line breaks around it\(origin). Remove them.")
            return .broken
        }
        if first == last, first == "\"" || first == "'" {
            report(name, "has quotes around it\(origin). Remove them: otpd would read them as a part of the value.")
            return .broken
        }
        if scalars.contains(where: SingleLine.mustEscape) {
            report(name, "contains a control or invisible character\(origin). Type the value instead of pasting it.")
            return .broken
        }
        if scalars.contains("\u{FFFD}") {
            report(name, "is not UTF-8 text\(origin). Set it again in UTF-8.")
            return .broken
        }
        if name.isSecret, !scalars.allSatisfy(\.isASCII), name != .databaseURL {
            report(name, "contains characters other than ASCII\(origin). Copy it again from its source.")
            return .broken
        }
        return .value(value)
    }

    /// Whether it is white space or an invisible character that a paste may bring: a byte order mark, a zero-width
    /// space, a direction mark.
    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || scalar.properties.generalCategory == .format
    }
}

/// Why a text is no value of its setting. The reason continues a sentence that begins with the setting's name.
struct InvalidValue: Error, Equatable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}
