-- wrk: posts status callbacks to a receiver, each with the signature that deploy/bench/callbacks made for it.
local requests = {}
for line in io.lines(os.getenv("CALLBACKS")) do
    local path, signature, body = line:match("^(%S+) (%S+) (%S+)$")
    requests[#requests + 1] = wrk.format("POST", path, {
        ["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8",
        ["X-Twilio-Signature"] = signature,
    }, body)
end
local next = 0

function request()
    next = next % #requests + 1
    return requests[next]
end
