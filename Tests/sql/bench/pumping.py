#!/usr/bin/env python3
"""Replays SMS pumping and ordinary traffic against otp.request, with the clock of the counters moved instead of waiting.

Pumping: 1,000 sequential numbers from 20 addresses at 10/s, in one run and in strides. Ordinary: an hour of a busy service
(numbers spread over the country's mobile ranges, a share of users who ask again, households and offices behind one
address). Expects a migrated database in PG* with otp.secret in PGOPTIONS; prints what passed and what was refused.
"""

import random
import subprocess
import sys

generator = random.Random(5)
RANGES = ("50", "53", "54", "55", "56", "58", "59")


def run(name, sends):
    """sends: (second, subject, number, address). Between two seconds the counters are moved back by one."""
    lines = ["TRUNCATE otp.send_counts, otp.send_jobs, otp.verifications, otp.request_locks, otp.shared_counts;",
             "CREATE TEMP TABLE IF NOT EXISTS outcome (second int, result text); TRUNCATE outcome;",
             "CREATE TEMP TABLE IF NOT EXISTS sends (id serial, second int, subject text, number text, address inet);",
             "TRUNCATE sends;", "COPY sends (second, subject, number, address) FROM STDIN (FORMAT csv);"]
    lines += [f"{second},{subject},{number},{address}" for second, subject, number, address in sends]
    lines += ["\\.", """
        DO $$
        DECLARE
            send record;
            moved int := 0;
            answer text;
        BEGIN
            FOR send IN SELECT * FROM sends ORDER BY id LOOP
                IF send.second - moved >= 30 THEN   -- in steps of half a minute
                    UPDATE otp.send_counts c SET sent_at = ARRAY(
                        SELECT t - (send.second - moved) * interval '1 second' FROM unnest(c.sent_at) t);
                    moved := send.second;
                    COMMIT;
                END IF;
                BEGIN
                    PERFORM otp.request(send.subject, send.number, client_ip => send.address);
                    answer := 'passed';
                EXCEPTION WHEN SQLSTATE 'OT001' THEN
                    GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
                    answer := 'refused by ' || substring(answer FROM 'scope=(.*)');
                END;
                INSERT INTO outcome VALUES (send.second, answer);
            END LOOP;
        END $$;
        SELECT string_agg(result || ' ' || n, ', ' ORDER BY result) FROM (
            SELECT result, count(*) n FROM outcome GROUP BY 1) x;"""]
    answer = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], input="\n".join(lines), text=True, check=True,
                            stdout=subprocess.PIPE).stdout.strip()
    print(f"{name}: {answer}", flush=True)
    return answer


def pumping(start, stride, count=1000):
    return [(n // 10, f"bot-{n}", f"05{start + n * stride:08d}", f"198.51.100.{n % 20}") for n in range(count)]


def ordinary(seconds, rate):
    users = []
    for n in range(int(seconds * rate / 1.3)):
        second = generator.randrange(seconds)
        subject, number = f"user-{n}", f"0{generator.choice(RANGES)}{generator.randrange(10**7):07d}"
        address = f"10.{generator.randrange(40)}.{generator.randrange(256)}.7" if n % 3 else f"192.0.2.{n % 250}"
        users.append((second, subject, number, address))
        for again in range(generator.choices((0, 1, 2, 3), (80, 13, 5, 2))[0]):
            users.append((second + 45 * (again + 1), subject, number, address))
    return sorted(users)


def main():
    quick = "--quick" in sys.argv
    passed = [run("pumping, 1,000 in sequence", pumping(1234000, 1))]
    passed.append(run("pumping, across a border of blocks", pumping(1234500, 1)))
    if not quick:
        run("pumping, every 7th number", pumping(1230000, 7))
        run("pumping, every 100th number", pumping(1200000, 100))
    refused = run("ordinary, 5/s for 10 minutes" if quick else "ordinary, 5/s for 20 minutes",
                  ordinary(600 if quick else 1200, 5))
    if "refused" in refused or any(int(p.split("passed ")[1].split(",")[0]) > 40 for p in passed):
        sys.exit("FAILED: more than 40 of a sequence passed, or ordinary traffic was refused")


main()
