import OTP
import Testing
import Twilio

/// The account, its numbers and its short codes, as Twilio prints them.
@Suite struct AccountResourceTests {
    @Test func theAccount() {
        let json =
            #"{"sid": "AC1", "auth_token": "not read", "status": "suspended", "type": "Trial", "more": {"a": 1}}"#
        let account = AccountResource(json: Array(json.utf8).span)
        #expect(account?.status == "suspended")
        #expect(account?.type == "Trial")
        #expect(!"\(String(describing: account))".contains("not read"))
        #expect(AccountResource(json: Array(#"{"sid": "AC1", "status": "active"}"#.utf8).span)?.type == nil)
        for foreign in ["", "<html>", "[]", #"{"status": "ok"}"#, #"{"sid": "AC1"}"#] {
            #expect(AccountResource(json: Array(foreign.utf8).span) == nil)
        }
    }

    @Test func numbersAndShortCodes() {
        let numbers = """
            {"incoming_phone_numbers": [
              {"phone_number": "+18089255327", "capabilities": {"mms": true, "sms": false, "voice": true}, "beta": null},
              {"phone_number": "+1", "capabilities": {"MMS": true, "SMS": true}}, {"phone_number": "+2"}],
             "page": 0}
            """
        let list = SenderResource.list(json: Array(numbers.utf8).span)
        #expect(list?.map(\.number) == ["+18089255327", "+1", "+2"])
        #expect(list?.map(\.sendsSMS) == [false, true, nil])
        let codes = #"{"short_codes": [{"short_code": "12345", "sid": "SC1"}]}"#
        #expect(SenderResource.list(json: Array(codes.utf8).span)?.map(\.sendsSMS) == [true])
        #expect(SenderResource.list(json: Array(#"{"incoming_phone_numbers": []}"#.utf8).span) == [])
        for foreign in ["", "{}", #"{"messages": []}"#, #"{"incoming_phone_numbers": [{}]}"#] {
            #expect(SenderResource.list(json: Array(foreign.utf8).span) == nil)
        }
    }

    @Test func paths() {
        let endpoint = Endpoint(accountSID: "AC1")
        #expect(endpoint.accountResource == "/2010-04-01/Accounts/AC1.json")
        #expect(endpoint.newestMessage == "/2010-04-01/Accounts/AC1/Messages.json?PageSize=1")
        #expect(
            endpoint.incomingNumbers("+15005550006")
                == "/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?PhoneNumber=%2B15005550006&PageSize=20")
        #expect(
            endpoint.shortCodes("12345") == "/2010-04-01/Accounts/AC1/SMS/ShortCodes.json?ShortCode=12345&PageSize=20")
    }
}
