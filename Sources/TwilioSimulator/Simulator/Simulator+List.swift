extension Simulator {
    /// `GET …/Messages.json`.
    func list(_ request: Request, at now: Microseconds) -> Result<Answer, TwilioError> {
        let form = Form(request.query.utf8)
        do throws(TwilioError) {
            let query = try ListQuery(form, date: "DateSent")
            let page = try self.page(query, at: now)
            return .success(
                page.answer("messages", query, form: form, path: request.path) { message, output in
                    resource.append(message, at: now, to: &output)
                } sid: {
                    sids.sid($0.sequence)
                })
        } catch {
            return .failure(error)
        }
    }

    /// The messages of one page, without those younger than the list lag.
    private func page(_ query: ListQuery, at now: Microseconds) throws(TwilioError) -> ListPage<Message> {
        let youngest = now - Int64(faults.listLagMilliseconds) * 1000
        return try ListPage(query, number: sids.sequence) { visit in
            store.walk(to: query.to) { message in
                guard message.record.createdAt <= youngest, matches(message, query, at: now) else { return true }
                return visit(message)
            }
        }
    }

    private func matches(_ message: Message, _ query: ListQuery, at now: Microseconds) -> Bool {
        if let from = query.from, !message.from.elementsEqual(from) { return false }
        guard let sent = query.dates else { return true }
        guard let sentAt = resource.state(of: message, at: now).sentAt else { return false }
        return sent.contains(sentAt / 1_000_000)
    }

    /// `GET …/Calls.json`.
    func listCalls(_ request: Request, at now: Microseconds) -> Result<Answer, TwilioError> {
        let form = Form(request.query.utf8)
        do throws(TwilioError) {
            let query = try ListQuery(form, date: "StartTime")
            if let status = query.status, CallStatus(rawValue: String(utf8: status)) == nil {
                throw ErrorCatalog.invalidParameter("Status", "must be the status of a call")
            }
            let page = try callPage(query, at: now)
            return .success(
                page.answer("calls", query, form: form, path: request.path) { call, output in
                    callResource.append(call, at: now, to: &output)
                } sid: {
                    callSIDs.sid($0.sequence)
                })
        } catch {
            return .failure(error)
        }
    }

    private func callPage(_ query: ListQuery, at now: Microseconds) throws(TwilioError) -> ListPage<Call> {
        let youngest = now - Int64(faults.listLagMilliseconds) * 1000
        return try ListPage(query, number: callSIDs.sequence) { visit in
            calls.walk { call in
                guard call.createdAt <= youngest, matches(call, query, at: now) else { return true }
                return visit(call)
            }
        }
    }

    private func matches(_ call: Call, _ query: ListQuery, at now: Microseconds) -> Bool {
        if let to = query.to, call.to != to { return false }
        if let from = query.from, call.from != from { return false }
        if let status = query.status {
            guard String(utf8: status) == callResource.step(of: call, at: now).status.rawValue else { return false }
        }
        guard let started = query.dates else { return true }
        // A call in the queue has no start_time, so no filter of StartTime finds it.
        guard let startedAt = callResource.startedAt(call, at: now) else { return false }
        return started.contains(startedAt / 1_000_000)
    }
}
