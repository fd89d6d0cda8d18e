"""Status callbacks for unknown messages, signed as Twilio would. For deploy/bench/callbacks.
usage: callbacks.py URL          prints ten thousand: target, signature, body
       callbacks.py URL RATE     posts so many a second to it over one connection, until it is ended
"""
import base64
import hashlib
import hmac
import http.client
import os
import sys
import time
import urllib.parse

key = os.environ["TWILIO_AUTH_TOKEN"].encode()
url = urllib.parse.urlsplit(sys.argv[1])


def callback(number):
    query = f"?reference={1_000_000 + number}.1"
    fields = {
        "SmsSid": f"SM{number:032x}", "SmsStatus": "delivered", "MessageStatus": "delivered", "To": "+966500000000",
        "MessageSid": f"SM{number:032x}", "AccountSid": os.environ["TWILIO_ACCOUNT_SID"], "From": "+15550009999",
        "ApiVersion": "2010-04-01",
    }
    signed = sys.argv[1] + query + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha1).digest()).decode()
    return url.path + query, signature, urllib.parse.urlencode(fields)


if len(sys.argv) == 2:
    for number in range(10_000):
        print(*callback(number))
    sys.exit()

connection = None
number = 0
due = time.monotonic()
while True:
    due = max(due + 1 / float(sys.argv[2]), time.monotonic() - 1)
    time.sleep(max(0, due - time.monotonic()))
    number += 1
    target, signature, body = callback(number)
    try:
        connection = connection or http.client.HTTPConnection(url.netloc, timeout=5)
        connection.request("POST", target, body, {
            "Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"callbacks.py: {answer.status}")
    except (OSError, http.client.HTTPException):
        # otpd has not started yet, or has ended.
        connection = None
        time.sleep(0.05)
