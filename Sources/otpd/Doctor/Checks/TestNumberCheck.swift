internal import Queue

/// Warns of live test numbers, because everyone who knows such a number and its code can log in as its account.
enum TestNumberCheck {
    static let check = Check("test-numbers", "Test numbers")

    /// More than a review needs.
    static let many = 10

    /// `own` are the key ids of OTPD_SECRET and OTPD_SECRET_PREVIOUS; nil where these are invalid.
    static func findings(_ numbers: [ReadTestNumbers.TestNumber], own: [String]?) -> [Finding] {
        guard let last = numbers.map(\.timeLeft).max() else { return [check.pass("There are none.")] }
        let remove = "When its review has ended: SELECT otp.remove_test_number('…');"
        let real = numbers.filter(\.isReal)
        let stale = own.map { own in numbers.filter { !own.contains($0.keyID) } } ?? []
        var findings: [Finding] = []
        if !real.isEmpty {
            findings.append(
                check.warn(
                    "Somebody may have \(words(real)), and the fixed code logs in as that person. Nothing is sent there.",
                    remove))
        }
        if !stale.isEmpty {
            findings.append(
                check.warn(
                    "\(words(stale)): hashed with another secret than OTPD_SECRET. Requests for it fail with OT003.",
                    "Add it again in a session with the new secret: SELECT otp.add_test_number(…);"))
        }
        if numbers.count > many {
            findings.append(check.warn("\(numbers.count) are live, which is more than a review needs.", remove))
        }
        guard findings.isEmpty else { return findings }
        return [
            check.warn(
                "\(words(numbers)): nothing is sent there, and a fixed code is right, for up to \(Words.age(last)).",
                remove)
        ]
    }

    private static func words(_ numbers: [ReadTestNumbers.TestNumber]) -> String {
        let shown = numbers.prefix(3).map(\.phoneNumber).joined(separator: ", ")
        return numbers.count > 3 ? "\(shown) and \(numbers.count - 3) more" : shown
    }
}
