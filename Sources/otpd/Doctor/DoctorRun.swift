internal import EventLoop
internal import OTP
internal import Queue
internal import Twilio

/// One run of `otpd doctor`. Readings that do not need each other run at the same time.
struct DoctorRun: Sendable {
    let parts: Settings.Parts
    let environment: [String: String]
    let files: [SecretFileChecks.Source]

    func run(on loop: EventLoop) async -> Report {
        async let database = readDatabase(on: loop)
        async let callback = readCallback(on: loop)
        let probe = parts.twilio.flatMap { try? HTTPProbe($0, caFile: parts.caFile, on: loop) }
        async let account = probe?.get(probe?.endpoint.accountResource ?? "")
        async let messages = probe?.get(probe?.endpoint.newestMessage ?? "")
        async let own = ask(probe?.twilio.sender, probe)
        let readings = await database

        var findings = SettingsChecks.findings(parts)
        findings += SettingsChecks.removed(LibraryVariables.removed)
        findings.append(
            DescriptorCheck.finding(
                limit: DescriptorLimit.current()?.hard, maxInFlight: parts.sending?.maxInFlight,
                servers: (parts.callbacks?.listen == nil ? 0 : 1) + (parts.dashboard == nil ? 0 : 1)))
        findings += SecretFileChecks.findings(files) + [SecretFileChecks.environmentFinding(environment)]
        if let readings {
            findings += DatabaseFindings(
                readings: readings, ownKeys: parts.secrets?.keys.ids, appName: parts.appName,
                version: Version.number, hostZone: HostClock.zone(environment)
            ).all()
        } else {
            findings += DatabaseFindings.skipped(SettingsChecks.unusable("DATABASE_URL", is: "is"))
        }
        let countries = (try? readings?.countries?.get()) ?? []
        if let probe, let account = await account, let messages = await messages {
            let context = TwilioChecks.Context(
                baseURL: probe.twilio.baseURL.description, usesKey: probe.twilio.usesKey)
            findings.append(TwilioChecks.account(account, messages: messages, context))
            findings.append(TwilioChecks.messages(messages, context))
            findings += await senders(probe, own: await own, countries, context)
        } else {
            _ = await (account, messages, own)
            findings += TwilioChecks.all.map { SettingsChecks.skip($0, "Twilio's settings", is: "are") }
        }
        await probe?.close()
        if let url = parts.callbacks?.publicURL, let answer = await callback {
            findings.append(CallbackCheck.finding(url, answer, hasReceiver: parts.callbacks?.listen != nil))
        } else {
            _ = await callback
            findings.append(
                CallbackCheck.check.skip("OTPD_CALLBACK_PUBLIC_URL is not set, so otpd polls the statuses."))
        }
        return Report(findings)
    }

    private func readDatabase(on loop: EventLoop) async -> DatabaseReadings? {
        guard let database = parts.database else { return nil }
        return await DatabaseReader(database: database, loop: loop).read()
    }

    private func readCallback(on loop: EventLoop) async -> HTTPAnswer? {
        guard let url = parts.callbacks?.publicURL else { return nil }
        return await HTTPProbe.callback(url, on: loop)
    }

    private func ask(_ sender: Sender?, _ probe: HTTPProbe?) async -> HTTPAnswer? {
        guard let probe, let sender, let path = TwilioChecks.Lookup(sender).path(probe.endpoint) else { return nil }
        return await probe.get(path)
    }

    /// The most senders of countries that one run looks up.
    private static let mostSenders = 10

    /// The findings about the worker's sender, and then about the senders of countries.
    private func senders(
        _ probe: HTTPProbe, own: HTTPAnswer?, _ countries: [ReadTexts.Country],
        _ context: TwilioChecks.Context
    ) async -> [Finding] {
        let sender = probe.twilio.sender
        let others = countries.filter { $0.sender == nil || $0.sender == sender.text }.map(\.region)
        var findings = [TwilioChecks.sender(.init(sender), own, countries: others, context)]
        var regions: [String: [String]] = [:]
        for country in countries {
            if let text = country.sender, text != sender.text { regions[text, default: []].append(country.region) }
        }
        let asked = regions.sorted { $0.value[0] < $1.value[0] }.prefix(Self.mostSenders)
        let found = await withTaskGroup(of: (Int, Finding).self) { group in
            for (index, (text, regions)) in asked.enumerated() {
                group.addTask { (index, await finding(text, regions, probe, context)) }
            }
            return await group.reduce(into: [Int: Finding]()) { $0[$1.0] = $1.1 }
        }
        findings += found.sorted { $0.key < $1.key }.map(\.value)
        return findings
    }

    private func finding(
        _ text: String, _ regions: [String], _ probe: HTTPProbe, _ context: TwilioChecks.Context
    ) async -> Finding {
        guard let sender = try? Sender(country: text) else {
            return TwilioChecks.sender.fail(
                .configuration, "The sender of \(regions.joined(separator: ", ")) in otp.countries is invalid.",
                CountrySenders.BadRow(country: regions.first ?? "").remedy)
        }
        let answer = await ask(sender, probe)
        return TwilioChecks.sender(.init(sender), answer, countries: regions, context)
    }
}

extension TwilioSettings {
    /// Whether requests carry an API key.
    var usesKey: Bool {
        switch login {
        case .authToken: false
        case .apiKey: true
        }
    }
}
