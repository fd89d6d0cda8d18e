-- wrk: creates messages at the simulator as otpd does, each to a number of its own. The credentials are otpd's.
local b64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(text)
    local out = {}
    for i = 1, #text, 3 do
        local a, b, c = text:byte(i, i + 2)
        local n = a * 65536 + (b or 0) * 256 + (c or 0)
        for shift, used in ipairs({ true, true, b ~= nil, c ~= nil }) do
            local digit = math.floor(n / 64 ^ (4 - shift)) % 64
            out[#out + 1] = used and b64:sub(digit + 1, digit + 1) or "="
        end
    end
    return table.concat(out)
end

local account, token = os.getenv("TWILIO_ACCOUNT_SID"), os.getenv("TWILIO_AUTH_TOKEN")
local path = "/2010-04-01/Accounts/" .. account .. "/Messages.json"
local headers = {
    ["Authorization"] = "Basic " .. base64(account .. ":" .. token),
    ["Content-Type"] = "application/x-www-form-urlencoded",
}
local number = 0

function request()
    number = number + 1
    local body = string.format(
        "To=%%2B96650%07d&From=%%2B15550009999&Body=Your%%20Bench%%20verification%%20code%%20is%%3A%%20123456."
        .. "%%20Valid%%20for%%205%%20minutes.&ValidityPeriod=299", number % 10000000)
    return wrk.format("POST", path, headers, body)
end
