#!/usr/bin/env python3
"""Prints the zeros of all decimal digits of Unicode (general category Nd), for the list in otp.read_typed.

    python3 -m venv /tmp/unicode && /tmp/unicode/bin/pip install unicodedata2==18.0.0
    /tmp/unicode/bin/python migrations/tools/unicode_digits.py
"""

import unicodedata2

decimal = {point: unicodedata2.digit(chr(point)) for point in range(0x110000)
           if unicodedata2.category(chr(point)) == "Nd"}
zeros = [point for point, digit in decimal.items() if digit == 0]
# otp.read_typed counts from each zero up to nine.
assert decimal == {zero + digit: digit for zero in zeros for digit in range(10)}
print(f"Unicode {unicodedata2.unidata_version}:", ",".join(map(str, zeros)))
