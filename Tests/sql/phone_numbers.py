#!/usr/bin/env python3
"""Holds SQL's phone numbers against the library that their table comes from.

The same version of PyPI's phonenumbers reads every number too, and each difference is printed:
- for every region and type of number, 500 random valid numbers and 500 random invalid ones, in changing spellings;
- the examples of every region and type in many spellings, read in their own region, in SA and in US;
- digits of every script, and what people and address books put around and into a number.

Expects a database in PG* and migrates one that is empty. Everything random is seeded. Exits 1 on a difference.
--self-test changes one row of the table at a time, and fails where no difference shows.
"""

import concurrent.futures
import functools
import pathlib
import random
import re
import subprocess
import sys
import warnings

import phonenumbers as pn
import unicodedata2 as unicode
from phonenumbers import PhoneNumberFormat as Format, PhoneNumberType as Type

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sre_parse

MIGRATIONS = pathlib.Path(__file__).resolve().parents[2] / "migrations"
VERSION = subprocess.run([sys.executable, MIGRATIONS / "tools" / "generate_numbers.py", "--version"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout.strip()
EACH = 500
SEED = 9043

NO_SMS = {Type.FIXED_LINE, Type.TOLL_FREE, Type.PREMIUM_RATE, Type.SHARED_COST, Type.UAN, Type.VOICEMAIL, Type.PAGER}
KINDS = {Type.FIXED_LINE: "fixed_line", Type.MOBILE: "mobile", Type.TOLL_FREE: "toll_free",
         Type.PREMIUM_RATE: "premium_rate", Type.SHARED_COST: "shared_cost", Type.VOIP: "voip",
         Type.PERSONAL_NUMBER: "personal_number", Type.PAGER: "pager", Type.UAN: "uan", Type.VOICEMAIL: "voicemail"}
WORDS = {kind: name.replace("_", " ") for kind, name in KINDS.items()} | {
    Type.FIXED_LINE_OR_MOBILE: "fixed line or mobile", Type.PERSONAL_NUMBER: "personal", Type.UAN: "company"}
REGIONS = sorted(pn.SUPPORTED_REGIONS) + [str(code) for code in sorted(pn.COUNTRY_CODES_FOR_NON_GEO_REGIONS)]
# Intended differences between SQL and the library: text → SQL's result, and the reason.
DIFFERENCES = {
    "0501234567x12": (None, "an extension is no part of a number that a text can be sent to"),
    "0501234567 ext. 3": (None, "the same"),
    "0501234567~3": (None, "the same"),
    "tel:+966501234567": (None, "letters are refused: the library would cut them off, or dial them on a keypad"),
    "0501234JKL": (None, "the same"),
    "0501234567/x0551234567": (None, "letters again: the library would take the first of two numbers"),
}


# ── the library's answers ────────────────────────────────────────────────────────────────────────────────────────────

@functools.cache
def is_left_out(character):
    """What is only there for the eye, by Unicode's own properties and not by SQL's lists."""
    if character in "\u2212\u207b\u208b\u30fc" or unicode.category(character) in ("Zs", "Zl", "Zp", "Pd"):
        return True
    return character in "\t\n\v\f\r\x85\u00ad\u061c\u180e\ufeff" or "\u200b" <= character <= "\u200f" \
        or "\u202a" <= character <= "\u202e" or "\u2060" <= character <= "\u206f"


@functools.cache
def digit(character):
    return str(unicode.digit(character)) if unicode.category(character) == "Nd" else character


def reading(raw):
    """The project's own part of reading: the rest is the library's."""
    if raw.isascii():
        text = re.sub(r"[\s-]", "", raw)
    else:
        text = "".join(digit(c) for c in raw if not is_left_out(c))
    bare = text.rstrip("+＋")
    return "+" + bare.lstrip("+＋") if bare != text else text


def expected(raw, region):
    """E.164, its region and its type; no E.164 where the library or the rule about landlines refuses."""
    try:
        number = pn.parse(reading(raw), region)
    except pn.NumberParseException:
        return None, None, None
    kind = pn.number_type(number)
    if kind == Type.UNKNOWN:
        return None, None, None
    e164 = pn.format_number(number, Format.E164)
    # E.164 has at most fifteen digits, and a stored number must be read as itself.
    if kind in NO_SMS or len(e164) > 16 or raw != e164 and pn.format_number(pn.parse(e164, None), Format.E164) != e164:
        return None, None, WORDS[kind]
    return e164, pn.region_code_for_number(number), WORDS[kind]


# ── the numbers to compare ─────────────────────────────────────────────────────────────────────────────────────────────

def random_match(tree, rng):
    """A random string that a parsed pattern matches."""
    out = []
    for op, argument in tree:
        name = str(op)
        if name == "LITERAL":
            out.append(chr(argument))
        elif name == "IN":
            points = []
            for kind, value in argument:
                if str(kind) == "LITERAL":
                    points.append(value)
                elif str(kind) == "RANGE":
                    points.extend(range(value[0], value[1] + 1))
                else:
                    points.extend(range(ord("0"), ord("9") + 1))    # \d
            out.append(chr(rng.choice(points)))
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = argument
            for _ in range(rng.randint(low, min(high, low + 14))):
                out.append(random_match(inner, rng))
        elif name == "SUBPATTERN":
            out.append(random_match(argument[-1], rng))
        elif name == "BRANCH":
            out.append(random_match(rng.choice(argument[1]), rng))
        else:
            raise ValueError(f"a pattern with {name}")
    return "".join(out)


def metadata_of(region):
    if region.isdigit():
        return pn.PhoneMetadata.metadata_for_nongeo_region(int(region))
    return pn.PhoneMetadata.metadata_for_region(region)


def spelled(national, metadata, rng):
    """A national number in one of the ways that people write it."""
    code = metadata.country_code
    prefix = metadata.national_prefix or ""
    return rng.choice((f"+{code}{national}", f"+{code}{national}", f"{prefix}{national}", national,
                       f"+{code} {national[:2]} {national[2:]}", f"{code}{national}+", f"00{code}{national}"))


def random_numbers(region, only=None):
    """(text, default region), of every type."""
    rng = random.Random(f"{SEED} {region}")
    metadata = metadata_of(region)
    home = "SA" if region.isdigit() else region
    for kind, name in KINDS.items():
        desc = getattr(metadata, name)
        if desc is None or not desc.national_number_pattern or only not in (None, kind):
            continue
        tree = sre_parse.parse(desc.national_number_pattern)
        whole = re.compile(f"(?:{metadata.general_desc.national_number_pattern})\\Z")
        right = re.compile("|".join(
            f"(?:{d.national_number_pattern})\\Z" for d in (getattr(metadata, n) for n in KINDS.values())
            if d is not None and d.national_number_pattern))
        valid, invalid = {}, {}
        for _ in range(EACH * 3):
            if len(valid) < EACH:
                valid[random_match(tree, rng)] = None
        base = list(valid)
        for _ in range(EACH * 20):
            if len(invalid) == EACH:
                break
            digits = list(rng.choice(base))
            change = rng.randrange(8)
            if change == 0:
                digits.append(rng.choice("0123456789"))
            elif change == 1:
                digits.pop()
            for _ in range(rng.randint(1, 3)):
                digits[rng.randrange(min(len(digits), 5))] = rng.choice("0123456789")
            text = "".join(digits)
            # Invalid by this region's patterns. The library decides below.
            if not (whole.match(text) and right.match(text)):
                invalid[text] = None
        for national in (*valid, *invalid):
            yield spelled(national, metadata, rng), home


def spellings(number):
    e164 = pn.format_number(number, Format.E164)
    national = pn.format_number(number, Format.NATIONAL)
    international = pn.format_number(number, Format.INTERNATIONAL)
    nsn = pn.national_significant_number(number)
    code = str(number.country_code)
    yield from (e164, international, national, nsn, "0" + nsn, "00" + e164[1:], e164[1:], "011" + e164[1:])
    yield from (f"+{code} (0){nsn}", f"+{code}0{nsn}", f"+00{e164[1:]}", f"++{e164[1:]}", f"00{code}0{nsn}", "1" + nsn)
    for zero in (0x660, 0x6F0, 0xFF10, 0x966, 0x9E6, 0x1D7CE):
        yield in_script(international, zero)
    yield from (f"\u202a{e164}\u202c", f"\u200e{national}\u200f", international.replace(" ", "\u00a0"),
                international.replace(" ", "-"), international.replace(" ", "\u2028"), ".".join(nsn),
                f"({nsn[:3]}) {nsn[3:]}", f"{nsn[:3]}/{nsn[3:]}", f"{e164[1:]}+", f"{e164}\r\n", f"{national}\u2011",
                f"☎ {national}", f"{national}.", f"{national}!", f"*{nsn}*", f"{nsn[:3]}*{nsn[3:]}", f"'{nsn}", f"[{nsn}]",
                f"{nsn[:3]}'{nsn[3:]}", f"{nsn[:3]}+{nsn[3:]}", f"({e164})", f"+({e164[1:]})")
    yield from (e164[:-1], e164 + "1", e164 + "123", nsn[:-2], nsn + "9", nsn[1:])


def in_script(text, zero):
    return "".join(chr(zero + int(c)) if "0" <= c <= "9" else c for c in text)


def examples(region):
    if region.isdigit():
        for spelling in spellings(pn.example_number_for_non_geo_entity(int(region))):
            yield spelling, "SA"
        return
    for kind in KINDS:
        number = pn.example_number_for_type(region, kind)
        if number is not None:
            for spelling in spellings(number):
                for home in {region, "SA", "US"}:
                    yield spelling, home


def typed():
    """How people type one number, and random digits."""
    rng = random.Random(SEED)
    for zero in (point for point in range(0x110000) if unicode.category(chr(point)) == "Nd" and unicode.digit(chr(point)) == 0):
        yield in_script("0501234567", zero), "SA"
        yield in_script("+966 50 123 4567", zero), "SA"
        yield in_script("966501234567+", zero), "SA"
    for point in range(0x110000):
        character = chr(point)
        if point and is_left_out(character):
            yield from ((text.replace("_", character), "SA") for text in ("_0501234567", "0501234567_", "050_1234567"))
    for _ in range(20000):
        digits = "".join(rng.choices("0123456789", k=rng.randint(1, 18)))
        yield digits, rng.choice(("SA", "US", "BR", "AR", "MX", "IT", "AU", "GB", "RU", "KZ", "SM"))
        yield "+" + digits, "SA"
        # With marks anywhere, the library and SQL agree, except for letters and extensions.
        noisy = "".join(c + rng.choice(("", "", "", "", " ", "-", ".", "(", ")", "/", "*", "+", "'", "!", "€", "\u223c", "\u2028"))
                        for c in rng.choice(("0501234567", "+966501234567", "00966501234567", "966501234567")))
        yield noisy, "SA"


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────

def compare(cases, mutation=""):
    """The lines of what SQL reads otherwise, and how many cases and numbers there were."""
    lines = []
    numbers = 0
    seen = dict.fromkeys(cases)
    for raw, region in seen:
        e164, country, kind = expected(raw, region)
        numbers += e164 is not None
        quoted = raw.replace('"', '""')
        lines.append(f'"{quoted}",{region},{e164 or ""},{country or ""},{kind or ""}')
    rows = "\n".join(lines)
    sql = f"""
        SET client_min_messages = warning;
        CREATE TEMP TABLE cases (raw text, region text, e164 text, country text, type text);
        COPY cases FROM STDIN (FORMAT csv);
{rows}
\\.
        BEGIN;
        {mutation};
        SELECT json_build_array(c.raw, c.region)::text || ': the library ' || coalesce(c.e164, 'refuses')
            || concat_ws(' ', '', c.country, c.type) || ', SQL ' || concat_ws(' ', coalesce(p.e164, p.reason), p.country, p.type)
        FROM cases c, otp.parse_phone_number(c.raw, c.region) p
        WHERE (c.e164, c.country, c.type) IS DISTINCT FROM (p.e164, p.country, p.type);
        ROLLBACK;
    """
    answer = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], input=sql, text=True, stdout=subprocess.PIPE)
    if answer.returncode != 0:
        raise RuntimeError("psql failed")
    return answer.stdout.splitlines(), len(seen), numbers


def part(number):
    """One of several shares of all cases."""
    cases = list(typed()) if number == 0 else []
    for region in REGIONS[number::PARTS]:
        cases.extend(examples(region))
        cases.extend(random_numbers(region))
    return compare(cases)


PARTS = 16


def migrate():
    there = subprocess.run(["psql", "-qXAtc", "SELECT to_regnamespace('otp')"], check=True, stdout=subprocess.PIPE)
    if not there.stdout.strip():
        for step in (*sorted(MIGRATIONS.glob("*.up.sql")), MIGRATIONS / "numbers.sql"):
            subprocess.run(["psql", "-qX1", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", str(step)], check=True)


def self_test():
    """One row at a time: the numbers that begin like one that is asked about are mobile no more."""
    for region in ("SA", "AE", "TR", "SO", "US", "BR", "KZ", "NG", "IT", "ID"):
        cases = list(random_numbers(region, Type.MOBILE))
        numbers = [pn.parse(e164, None) for e164, country, _ in (expected(*case) for case in cases) if country == region]
        start = pn.national_significant_number(random.Random(SEED).choice(numbers))[:4]
        differences, _, _ = compare(
            cases, f"UPDATE otp.regions SET mobile = '^(?!{start})' || substr(mobile, 2) WHERE region = '{region}'")
        if not differences:
            sys.exit(f"self-test: without the mobile numbers of {region} that begin with {start}, nothing differs")
    print("self-test: each changed row is found")


def main():
    if pn.__version__ != VERSION:
        sys.exit(f"phonenumbers {pn.__version__} is installed, {VERSION} is needed")
    migrate()
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    for text, (e164, why) in DIFFERENCES.items():
        answer = subprocess.run(["psql", "-qXAt", "-v", f"text={text}"], text=True, stdout=subprocess.PIPE,
                                input="SELECT e164 FROM otp.parse_phone_number(:'text', 'SA')")
        if answer.stdout.strip() != (e164 or "") or expected(text, "SA")[0] == e164:
            sys.exit(f"{text}: meant to differ from the library ({why}), and does not; SQL says {answer.stdout.strip()!r}")
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        results = list(pool.map(part, range(PARTS)))
    differences = [line for lines, _, _ in results for line in lines]
    print("\n".join(differences[:40]))
    print(f"compared: {sum(r[1] for r in results)}, numbers: {sum(r[2] for r in results)}, "
          f"differences: {len(differences)} (libphonenumber {VERSION}, Unicode {unicode.unidata_version})")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
