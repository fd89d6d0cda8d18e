#!/usr/bin/env python3
"""Holds otp.to_e164 against libphonenumber (PyPI phonenumbers 8.12.57, the metadata that the region table comes from).

For every region and kind of number: its example in many spellings, read with its own region, SA and US as default, and
seeded random digits around the real lengths. Expects a database in PG* and migrates one that is empty; prints mismatches,
exits 1 if any.
"""

import csv
import io
import pathlib
import random
import subprocess
import sys

import phonenumbers as pn
from phonenumbers import PhoneNumberFormat as Format, PhoneNumberType as Type

if pn.__version__ != "8.12.57":
    sys.exit(f"phonenumbers {pn.__version__} is installed, 8.12.57 is needed")

NO_SMS = {Type.FIXED_LINE, Type.TOLL_FREE, Type.PREMIUM_RATE, Type.SHARED_COST, Type.UAN, Type.VOICEMAIL, Type.PAGER}
KINDS = [Type.FIXED_LINE, Type.MOBILE, Type.TOLL_FREE, Type.PREMIUM_RATE, Type.SHARED_COST, Type.VOIP,
         Type.PERSONAL_NUMBER, Type.PAGER, Type.UAN, Type.VOICEMAIL]
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
FULLWIDTH = str.maketrans("0123456789+", "０１２３４５６７８９＋")
MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202c\u2066\u2069"))


def expected(raw, region):
    """E.164, or None where libphonenumber or the rule about landlines refuses."""
    try:
        number = pn.parse(raw.translate(MARKS), region)
    except pn.NumberParseException:
        return None, None
    if not pn.is_valid_number(number) or pn.number_type(number) in NO_SMS:
        return None, None
    e164 = pn.format_number(number, Format.E164)
    # The daemon refuses a stored number that reads differently, and E.164 has fifteen digits at most.
    if len(e164) > 16 or pn.format_number(pn.parse(e164, None), Format.E164) != e164:
        return None, None
    return e164, pn.region_code_for_number(number)


def spellings(number):
    e164 = pn.format_number(number, Format.E164)
    national = pn.format_number(number, Format.NATIONAL)
    international = pn.format_number(number, Format.INTERNATIONAL)
    nsn = pn.national_significant_number(number)
    code = str(number.country_code)
    yield from (e164, international, national, nsn, "0" + nsn, "00" + e164[1:], e164[1:], "011" + e164[1:])
    yield from (f"+{code} (0){nsn}", f"+{code}0{nsn}", f"+00{e164[1:]}", f"++{e164[1:]}", f"00{code}0{nsn}", "1" + nsn)
    yield from (national.translate(ARABIC), international.translate(PERSIAN), e164.translate(FULLWIDTH))
    yield from (f"\u202a{e164}\u202c", f"\u200e{national}\u200f", international.replace(" ", "\u00a0"),
                international.replace(" ", "-"), ".".join(nsn), f"({nsn[:3]}) {nsn[3:]}", f"{nsn[:3]}/{nsn[3:]}")
    yield from (e164[:-1], e164 + "1", e164 + "123", nsn[:-2], nsn + "9", nsn[1:])


def cases():
    generator = random.Random(812057)
    for region in sorted(pn.SUPPORTED_REGIONS):
        for kind in KINDS:
            number = pn.example_number_for_type(region, kind)
            if number is not None:
                for spelling in spellings(number):
                    for default in {region, "SA", "US"}:
                        yield spelling, default
        metadata = pn.PhoneMetadata.metadata_for_region(region)
        for _ in range(60):
            length = generator.choice(metadata.general_desc.possible_length) + generator.choice((0, 0, 0, 1, 2, -1))
            digits = "".join(generator.choices("0123456789", k=max(length, 1)))
            yield generator.choice(("", "0", "1", "8")) + digits, region
            yield f"+{metadata.country_code}{digits}", "SA"
    for code in sorted(pn.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        for spelling in spellings(pn.example_number_for_non_geo_entity(code)):
            yield spelling, "SA"
    for _ in range(20000):
        yield "".join(generator.choices("0123456789", k=generator.randint(1, 18))), generator.choice(("SA", "US", "BR", "AR", "MX", "IT"))
        yield "+" + "".join(generator.choices("0123456789", k=generator.randint(1, 18))), "SA"


def migrate():
    there = subprocess.run(["psql", "-qXAtc", "SELECT to_regnamespace('otp')"], check=True, stdout=subprocess.PIPE)
    if not there.stdout.strip():
        for step in sorted(pathlib.Path(__file__).parents[2].glob("migrations/*.up.sql")):
            subprocess.run(["psql", "-qX1", "-v", "ON_ERROR_STOP=1", "-f", str(step)], check=True)


def main():
    migrate()
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    seen = set()
    for raw, region in cases():
        if (raw, region) not in seen and not any(c.isalpha() or c in "#*;," for c in raw if ord(c) < 0x600):
            seen.add((raw, region))
            e164, country = expected(raw, region)
            writer.writerow([raw, region, e164 or "", country or ""])
    sql = f"""
        SET client_min_messages = warning;
        CREATE TEMP TABLE cases (raw text, region text, e164 text, country text);
        COPY cases FROM STDIN (FORMAT csv);
{buffer.getvalue()}\\.
        SELECT 'mismatch: ' || c.raw || ' in ' || c.region || ': libphonenumber ' || coalesce(c.e164, 'refuses')
            || ' ' || coalesce(c.country, '') || ', SQL ' || coalesce(p.e164, p.reason) || ' ' || coalesce(p.country, '')
        FROM cases c, otp.parse_phone_number(c.raw, c.region) p
        WHERE c.e164 IS DISTINCT FROM p.e164 OR c.country IS DISTINCT FROM p.country;
        SELECT 'compared: ' || count(*) || ', numbers: ' || count(c.e164) FROM cases c;
    """
    psql = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], input=sql, text=True, stdout=subprocess.PIPE)
    if psql.returncode != 0:
        sys.exit("psql failed")
    output = psql.stdout.splitlines()
    mismatches = [line for line in output if line.startswith("mismatch")]
    print("\n".join(mismatches[:40]))
    print(output[-1] + f", mismatches: {len(mismatches)}")
    sys.exit(1 if mismatches else 0)


main()
