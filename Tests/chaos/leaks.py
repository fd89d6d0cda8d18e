"""Searches the logs for codes, whole numbers, e-mail addresses and credentials."""
import re

from cluster import SECRET
from worker import TOKEN

# As `Load.insert` makes them; six random digits could be in a log by chance.
CODE = re.compile(r"Zq[0-9a-f]{8}")
# A Saudi mobile number in any of its spellings; group 1 is their common part.
NUMBER = re.compile(r"(?<![0-9])(?:(?:00)?966|0)?(5[0-9]{8})(?![0-9])")
# As `Load.insert` makes them.
ADDRESS = re.compile(r"chaos[0-9]+@example\.com")


def leaks(logs, inbox):
    """`logs`: name → lines. `inbox`: the messages of the simulator. Returns a sentence for each log and kind of leak."""
    codes = {code for message in inbox for code in CODE.findall(message["body"])}
    numbers = {message["to"][-9:] for message in inbox}
    mails = {message["to"] for message in inbox if message["channel"] == "email"}
    kinds = {
        "a code": lambda line: any(code in codes for code in CODE.findall(line)),
        "a whole number": lambda line: any(number in numbers for number in NUMBER.findall(line)),
        "an e-mail address": lambda line: any(address in mails for address in ADDRESS.findall(line)),
        "a credential": lambda line: TOKEN in line or SECRET in line,
    }
    for name, lines in logs.items():
        for kind, has in kinds.items():
            found = [line for line in lines if has(line)]
            if found:
                yield f"{name} has {kind}, in {len(found)} lines of {len(lines)}, such as: {found[0][:300]}"
