/// Shows a snapshot as lines of text: for a terminal of some size, or without a height for a page.
///
/// Pure: the same input gives the same lines. No line is wider than the width, and there are no more lines than the
/// height. Titles count the entries that do not fit (`+3 more`).
struct StatusView {
    /// Nil before the first snapshot.
    var snapshot: StatusSnapshot?
    var history = StatusHistory()
    /// The address of the database.
    var database = ""
    /// Why the database is unreachable, and for how many seconds. Nil where it is reachable.
    var trouble: (words: String, seconds: Int)?
    /// The age of the snapshot in seconds. Nil where it is unknown.
    var age: Int?
    /// Seconds between two refreshes. Nil for a page that is shown once.
    var interval: Double?

    /// The smallest width that is laid out. A smaller terminal shows the upper left corner.
    static let leastWidth = 20

    func lines(width: Int, height: Int? = nil) -> [StyledLine] {
        let wide = max(Self.leastWidth, width)
        var top = header(wide)
        top += verdict(wide, most: height.map { max(2, $0 / 3) })
        var lists: [List] = []
        if let snapshot {
            if height.map({ $0 >= 16 }) ?? true { top.append(StyledLine()) }
            top += figures(snapshot, wide, wraps: height.map { $0 >= 20 } ?? true)
            lists = [
                pauses(snapshot, wide), holds(snapshot, wide), limits(snapshot, wide), channels(snapshot, wide),
                workers(snapshot, wide),
                failures(snapshot, wide), sends(snapshot, wide),
            ].filter { !$0.entries.isEmpty || $0.isAlwaysShown }
        }
        var lines = top + Self.fill(lists, rows: height.map { $0 - top.count })
        if snapshot != nil, trouble != nil {
            // Old figures are grey. The header and the summary keep their colours.
            let fresh = header(wide).count + verdict(wide, most: height.map { max(2, $0 / 3) }).count
            for index in lines.indices.dropFirst(fresh) { lines[index] = lines[index].all(.dim) }
        }
        if let height { lines = Array(lines.prefix(height)) }
        return lines.map { $0.fitted(width) }
    }

    // MARK: The top

    private func header(_ width: Int) -> [StyledLine] {
        var line = StyledLine("otpd status", .bold)
        var right = [database, snapshot?.clock ?? ""].filter { !$0.isEmpty }.joined(separator: " · ")
        if let interval {
            right +=
                (right.isEmpty ? "" : " · ") + "every \(StatusWords.tenths(interval).replacingTrailingZero) s · q quits"
        }
        let room = width - line.columns - 2
        guard room > 4, !right.isEmpty else { return [line] }
        right = TextLayout.fit(right, room)
        line.append(String(repeating: " ", count: width - line.columns - DisplayWidth.columns(right)))
        line.append(right, .dim)
        return [line]
    }

    private func verdict(_ width: Int, most: Int?) -> [StyledLine] {
        let verdict: StatusVerdict
        if let trouble {
            verdict = StatusVerdict(
                level: .bad,
                headline: "Cannot reach the database."
                    + (snapshot == nil ? "" : " These figures are \(StatusWords.span(age ?? trouble.seconds)) old."),
                detail: "Unreachable for \(StatusWords.span(trouble.seconds)): \(trouble.words)",
                remedy:
                    "Committed requests are not lost: workers send them when the database is back. This command tries "
                    + "again until then.",
                failsCheck: true)
        } else if let snapshot {
            verdict = .of(snapshot)
        } else {
            return [StyledLine("Connecting …", .dim)]
        }
        let (mark, style): (String, StyledLine.Style) =
            switch verdict.level {
            case .good: ("●", .good)
            case .warning: ("▲", .warning)
            case .bad: ("✖", .bad)
            }
        var lines: [StyledLine] = []
        for (index, text) in TextLayout.wrap(verdict.headline, width - 2).enumerated() {
            lines.append(StyledLine((index == 0 ? mark : " ") + " " + text, style))
        }
        var (details, remedies): ([String], [String]) = ([], [])
        if let detail = verdict.detail { details = TextLayout.wrap(Self.safe(detail), width - 2) }
        if let remedy = verdict.remedy { remedies = TextLayout.wrap("→ " + Self.safe(remedy), width - 2) }
        if let most {
            // The remedy gets more lines than the reason, but each gets at least one.
            let room = max(remedies.isEmpty ? 1 : 2, most - lines.count)
            let why = min(details.count, max(1, room - remedies.count))
            details = TextLayout.first(why, of: details, width: width - 2)
            remedies = TextLayout.first(room - details.count, of: remedies, width: width - 2)
        }
        return lines + details.map { StyledLine("  " + $0) } + remedies.map { StyledLine("  " + $0, .bold) }
    }

    private func figures(_ snapshot: StatusSnapshot, _ width: Int, wraps: Bool) -> [StyledLine] {
        let queue = snapshot.queue
        var lines: [StyledLine] = []
        let isLate = queue.oldestDueSeconds >= StatusVerdict.stuckAfter
        let oldest = queue.due > 0 ? " (oldest \(StatusWords.span(queue.oldestDueSeconds)))" : ""
        lines += Self.row(
            "Queue",
            [
                ("\(StatusWords.number(queue.queued)) queued", .plain),
                ("\(StatusWords.number(queue.due)) due\(oldest)", isLate ? .bad : .plain),
                ("\(StatusWords.number(queue.sending)) sending", .plain),
                ("\(StatusWords.number(queue.unknown)) unknown", queue.unknown > 0 ? .warning : .plain),
            ], width, wraps: wraps)

        func three(_ counts: (Int, Int, Int), _ style: StyledLine.Style) -> [(String, StyledLine.Style)] {
            [(counts.0, "1 min"), (counts.1, "5 min"), (counts.2, "1 h")].map {
                ("\(StatusWords.number($0.0)) in \($0.1)", style)
            }
        }
        var sent = three(queue.accepted, .plain)
        if let share = queue.successShare { sent.append(("\(StatusWords.percent(share)) succeeded", .plain)) }
        lines += Self.row("Sent", sent, width, wraps: wraps)
        lines += Self.row(
            "Failed", three(queue.failed, queue.failed.1 > 0 ? .warning : .plain), width, wraps: wraps)

        let refused = snapshot.refusals.filter { $0.lastHour > 0 }
        if !refused.isEmpty {
            lines += Self.row(
                "Refused",
                refused.map { ("\(StatusWords.number($0.lastHour)) \(Self.safe($0.scope))", .plain) }
                    + [("in 1 h, by limit", .dim)], width, wraps: wraps)
        }

        // The bars fill the rest of the line, with at most five minutes.
        let room = max(0, min(60, width - Self.labelWidth - 27))
        let rates = room < 8 ? [] : history.rates(room)
        if rates.contains(where: { $0 != nil }) {
            var line = Self.label("Per sec")
            line.append(Sparkline.text(rates), .good)
            let known = rates.compactMap { $0 }
            line.append(" \(StatusWords.tenths(known.last ?? 0)) now, peak \(StatusWords.tenths(known.max() ?? 0))")
            lines.append(line)
        }
        var latency: [(String, StyledLine.Style)] = [("nothing was accepted in the last minute", .dim)]
        if let ms = queue.latency {
            latency = [("p50", ms.p50), ("p95", ms.p95), ("p99", ms.p99)].map {
                ("\($0.0) \(StatusWords.milliseconds($0.1))", .plain)
            }
            latency.append(("from commit to accepted", .dim))
        }
        lines += Self.row("Latency", latency, width, wraps: wraps)
        let latencies = room < 8 ? [] : history.latencies(room)
        if interval != nil, latencies.contains(where: { $0 != nil }) {
            var line = Self.label("p95")
            line.append(Sparkline.text(latencies), .good)
            let known = latencies.compactMap { $0 }
            line.append(" peak \(StatusWords.milliseconds(known.max() ?? 0))")
            lines.append(line)
        }
        return lines
    }

    /// Figures beside a label. If they do not fit, they continue on further lines, or are cut where `wraps` is false.
    private static func row(
        _ name: String, _ figures: [(text: String, style: StyledLine.Style)], _ width: Int, wraps: Bool
    ) -> [StyledLine] {
        var lines = [label(name)]
        for (index, figure) in figures.enumerated() {
            let last = lines.count - 1
            let separator = index == 0 ? "" : " · "
            let length = DisplayWidth.columns(separator + figure.text)
            if index > 0, wraps, lines[last].columns + length > width {
                lines.append(label(""))
                lines[last + 1].append(figure.text, figure.style)
            } else {
                lines[last].append(separator)
                lines[last].append(figure.text, figure.style)
            }
        }
        return lines
    }

    private static let labelWidth = 9
    private static func label(_ text: String) -> StyledLine { StyledLine(TextLayout.pad(text, labelWidth), .dim) }

    // MARK: The lists

    /// A title, and entries of one line or more.
    struct List {
        var title: String
        var summary: String
        var style: StyledLine.Style = .plain
        var entries: [[StyledLine]]
        var isAlwaysShown = false
    }

    /// Takes one entry of each list in turn as long as there is room: a pause, a worker, a failure, a send, a pause, …
    /// Each title counts the entries that are not shown.
    static func fill(_ lists: [List], rows: Int?) -> [StyledLine] {
        if let rows, rows < lists.count { return rows > 0 ? [summary(lists)] : [] }
        var shown = lists.map { rows == nil ? $0.entries.count : 0 }
        /// How many lines of the next entry are shown, where it does not fit as a whole.
        var beginnings = lists.map { _ in 0 }
        var isOpen = lists.map { _ in true }
        let isAiry = rows.map { $0 >= lists.count * 3 + 2 } ?? true
        if let rows {
            var room = rows - lists.count * (isAiry ? 2 : 1)
            while isOpen.contains(true) {
                for (index, list) in lists.enumerated() where isOpen[index] {
                    guard shown[index] < list.entries.count, list.entries[shown[index]].count <= room else {
                        isOpen[index] = false
                        if shown[index] == 0, !list.entries.isEmpty, room > 0 {
                            (beginnings[index], room) = (room, 0)
                        }
                        continue
                    }
                    room -= list.entries[shown[index]].count
                    shown[index] += 1
                }
            }
        }
        var lines: [StyledLine] = []
        for (index, list) in lists.enumerated() {
            let count = shown[index]
            if isAiry { lines.append(StyledLine()) }
            var title = StyledLine(list.title, .bold)
            title.append(list.summary.isEmpty ? "" : "  " + list.summary, list.style)
            let more = list.entries.count - count - (beginnings[index] > 0 ? 1 : 0)
            if more > 0 { title.append("  +\(more) more", .dim) }
            lines.append(title)
            for entry in list.entries.prefix(count) { lines += entry }
            if beginnings[index] > 0 {
                lines += list.entries[count].prefix(beginnings[index])
                lines[lines.count - 1].append(" …", .dim)
            }
        }
        return lines
    }

    /// One line for all lists, for a terminal without room for their titles.
    private static func summary(_ lists: [List]) -> StyledLine {
        var line = StyledLine()
        for (index, list) in lists.enumerated() {
            let figure = list.summary.isEmpty ? "\(list.entries.count)" : list.summary
            line.append((index > 0 ? " · " : "") + "\(list.title) \(figure)", list.style)
        }
        return line
    }

    /// How many lines an entry may take on a terminal. Nil on a page, which shows it whole.
    private var entryLines: Int? { interval == nil ? nil : 3 }

    /// A first line with wrapped and indented texts below it. On a terminal, a long text is cut.
    private func block(_ first: StyledLine, _ width: Int, _ texts: [(String, StyledLine.Style)]) -> [StyledLine] {
        var lines = [first.fitted(width)]
        for (text, style) in texts {
            var wrapped = TextLayout.wrap(Self.safe(text), width - 4)
            if let most = entryLines { wrapped = TextLayout.first(max(1, most - 1), of: wrapped, width: width - 4) }
            lines += wrapped.map { StyledLine("    " + $0, style) }
        }
        return lines
    }

    private func pauses(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        let entries = snapshot.pauses.map { pause -> [StyledLine] in
            var line = StyledLine("  " + Self.safe(pause.scope), .bad)
            line.append("  for \(StatusWords.span(pause.seconds))")
            if let held = pause.held {
                line.append(", \(StatusWords.count(held, "job")) \(held == 1 ? "waits" : "wait")")
            }
            if let next = pause.nextProbeSeconds {
                line.append(next > 0 ? ", next probe in \(StatusWords.span(next))" : ", a probe is due")
            }
            // The summary above already shows the reason of the only pause.
            if snapshot.pauses.count == 1, trouble == nil, snapshot.queue.workersAlive > 0 {
                return [line.fitted(width)]
            }
            return block(
                line, width,
                [(pause.reason, .plain), ("→ " + (pause.remedy ?? StatusWords.pauseRemedy(pause.scope)), .plain)])
        }
        return List(title: "Pauses", summary: "\(entries.count)", style: .bad, entries: entries)
    }

    private func holds(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        let entries = snapshot.holds.map { hold -> [StyledLine] in
            var line = StyledLine("  " + Self.safe(hold.name), hold.isEnforced ? .bad : .warning)
            line.append("  for \(StatusWords.span(hold.seconds))")
            if hold.isEnforced {
                line.append(", \(hold.letThrough.sent) let through, \(hold.letThrough.used) of them used")
            } else {
                line.append(", only observed")
            }
            return block(line, width, [(hold.explanation, .plain), ("→ " + hold.remedy, .plain)])
        }
        return List(
            title: "Held back", summary: "\(entries.count)",
            style: snapshot.holds.contains(where: \.isEnforced) ? .bad : .warning,
            entries: entries)
    }

    private func limits(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        let entries = snapshot.limits.map { limit -> [StyledLine] in
            var line = StyledLine("  " + Self.safe(limit.name), limit.usedUpUntil == nil ? .warning : .bad)
            line.append("  \(limit.used) of \(limit.allowed) this \(limit.period)")
            if let until = limit.usedUpUntil {
                line.append(", used up until \(until)")
                if let seconds = limit.usedUpSeconds { line.append(" (\(StatusWords.span(seconds)))", .dim) }
            }
            return [line.fitted(width)]
        }
        let isUsedUp = snapshot.limits.contains { $0.usedUpUntil != nil }
        return List(
            title: "Shared limits", summary: "\(entries.count)", style: isUsedUp ? .bad : .warning, entries: entries)
    }

    private func channels(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        let channels = snapshot.channelsInUse
        let entries = channels.map { channel -> [StyledLine] in
            let problem = snapshot.routeProblems.contains { $0.channel == channel.name }
            let isPaused = snapshot.pauses.contains { $0.scope == "channel \(channel.name)" }
            var line = StyledLine("  ")
            line.append(
                TextLayout.pad(Self.safe(channel.name), 10), isPaused ? .bad : problem ? .warning : .plain)
            line.append("\(StatusWords.number(channel.accepted[2])) sent, ")
            line.append(
                "\(StatusWords.number(channel.failed[2])) failed", channel.failed[1] > 0 ? .warning : .plain)
            line.append(", \(StatusWords.number(channel.queued)) queued")
            if isPaused { line.append(", paused", .bad) }
            if problem { line.append(", cannot be used", .warning) }
            return [line.fitted(width)]
        }
        return List(title: "Channels", summary: "in 1 h", entries: entries)
    }

    private func workers(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        // Living workers come first, then dead ones, then stopped ones.
        func rank(_ worker: StatusSnapshot.Worker) -> Int { worker.isDead ? 1 : worker.isStopped ? 2 : 0 }
        let workers = snapshot.workers.sorted { (rank($0), -$0.id) < (rank($1), -$1.id) }
        let alive = workers.filter { rank($0) == 0 && $0.sends }.count
        let dead = workers.filter(\.isDead).count
        var summary = "\(snapshot.queue.workersAlive) alive"
        if snapshot.queue.workersAlive == 0, alive > 0 { summary = "none alive" }
        if dead > 0 { summary += ", \(dead) dead" }
        let hosts = min(24, workers.map { DisplayWidth.columns(Self.safe($0.host)) }.max() ?? 0)
        let entries = workers.map { worker -> [StyledLine] in
            var line = StyledLine(
                "  " + TextLayout.pad("\(worker.id)", 5) + TextLayout.pad(Self.safe(worker.host), hosts) + "  ")
            if worker.isDead {
                line.append("dead", .bad)
                line.append(", \(StatusWords.span(worker.heartbeatSeconds)) without a heartbeat")
            } else if worker.isStopped {
                line.append("stopped \(StatusWords.span(worker.heartbeatSeconds)) ago", .dim)
            } else {
                line.append(worker.state, worker.state == "running" ? .good : .warning)
                if worker.sends { line.append(", \(StatusWords.number(worker.inFlight)) in flight") }
            }
            var counts = StyledLine()
            if worker.sends {
                counts.append("\(StatusWords.number(worker.accepted)) sent")
                if worker.failed > 0 { counts.append(", \(StatusWords.number(worker.failed)) failed") }
                if worker.unknown > 0 { counts.append(", \(StatusWords.number(worker.unknown)) unknown") }
                if worker.isForMail { counts.append(" · e-mail") }
            }
            if let callbacks = worker.callbacks {
                counts.append((worker.sends ? " · " : "") + "\(StatusWords.number(callbacks.written)) callbacks")
                if callbacks.refused > 0 {
                    counts.append(", \(StatusWords.number(callbacks.refused)) refused", .warning)
                }
                if callbacks.dropped > 0 {
                    counts.append(", \(StatusWords.number(callbacks.dropped)) dropped", .warning)
                }
            }
            var lines = [line]
            if entryLines == nil, line.columns + 3 + counts.columns > width {
                lines.append(StyledLine("    "))
            } else {
                lines[0].append(" · ")
            }
            for part in counts.parts { lines[lines.count - 1].append(part.text, part.style) }
            if rank(worker) == 0, let database = worker.database, database != "connected" {
                lines.append(StyledLine("    " + Self.safe(database), .warning))
            }
            return lines.map { $0.fitted(width) }
        }
        return List(
            title: "Workers", summary: summary,
            style: snapshot.queue.workersAlive == 0 ? .bad : dead > 0 ? .warning : .plain,
            entries: entries, isAlwaysShown: true)
    }

    private func failures(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        let named = !snapshot.channelsInUse.isEmpty
        let entries = snapshot.failures.map { failure in
            block(
                Self.send(failure, .warning, named), width,
                [failure.error.map { ($0, .plain) }, failure.remedy.map { ("→ " + $0, .plain) }].compactMap { $0 })
        }
        return List(title: "Last failures", summary: "", entries: entries)
    }

    private func sends(_ snapshot: StatusSnapshot, _ width: Int) -> List {
        let named = !snapshot.channelsInUse.isEmpty
        return List(
            title: "Last sends", summary: "",
            entries: snapshot.sends.map { [Self.send($0, .plain, named).fitted(width)] })
    }

    /// The line of a send. It names the channel if several are in use.
    private static func send(_ send: StatusSnapshot.Send, _ style: StyledLine.Style, _ named: Bool) -> StyledLine {
        var line = StyledLine(
            "  " + TextLayout.pad(StatusWords.span(send.seconds) + " ago", 12) + TextLayout.pad("\(send.id)", 8))
        line.append(TextLayout.pad(send.phoneNumber, 15))
        if named { line.append(TextLayout.pad(safe(send.channel), 10)) }
        // The message status is Twilio's own word.
        line.append([send.state, send.messageStatus.map(safe)].compactMap { $0 }.joined(separator: ", "), style)
        if let code = send.errorCode { line.append(" \(code)") }
        return line
    }

    /// The text on one line, with control characters escaped.
    private static func safe(_ text: String) -> String { SingleLine.escaped(text) }
}

extension String {
    /// `2.0` → `2`.
    fileprivate var replacingTrailingZero: String { hasSuffix(".0") ? String(dropLast(2)) : self }
}

extension StatusView {
    /// One line for a log or a pipe.
    func line() -> String {
        guard trouble == nil, let snapshot else {
            return "database unreachable"
                + (trouble.map { " for \(StatusWords.span($0.seconds)): \(Self.safe($0.words))" } ?? "")
        }
        let (queue, verdict) = (snapshot.queue, StatusVerdict.of(snapshot))
        var parts = [
            "queued \(queue.queued)", "due \(queue.due)", "oldest \(StatusWords.span(queue.oldestDueSeconds))",
            "sending \(queue.sending)", "unknown \(queue.unknown)", "sent/1m \(queue.accepted.0)",
            "failed/1m \(queue.failed.0)",
        ]
        if let latency = queue.latency { parts.append("p95 \(StatusWords.milliseconds(latency.p95))") }
        parts.append("workers \(queue.workersAlive)")
        if !snapshot.pauses.isEmpty {
            parts.append("paused: " + snapshot.pauses.map { Self.safe($0.scope) }.joined(separator: ", "))
        }
        return parts.joined(separator: " · ") + " · " + Self.safe(verdict.headline)
    }
}
