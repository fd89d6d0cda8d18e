"""Runs the snippets of deploy/examples/snippets. Each gets a number, and then the code that arrives there."""

import os
import subprocess
import sys

from backend import EXAMPLES, code_in, equal, inbox, numbers, true, wrong


def check_snippets():
    for file, command in (
        ("verify.sql", ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", f"{EXAMPLES}/snippets/verify.sql"]),
        ("verify.py", [sys.executable, f"{EXAMPLES}/snippets/verify.py"]),
        ("verify.rb", ["ruby", f"{EXAMPLES}/snippets/verify.rb"]),
        ("node/verify.js", ["node", os.environ["NODE_EXAMPLE"]]),
        ("swift/main.swift", [os.environ["SWIFT_EXAMPLE"]]),
    ):
        environment = os.environ | {"PGOPTIONS": f"-c otp.secret={os.environ['OTPD_SECRET']}"}
        if file != "verify.sql":
            del environment["PGOPTIONS"]  # they pass the secret themselves

        def run(number, right=True):
            """The output of the snippet for a number and the code that then arrives."""
            program = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            )  # fmt: skip
            try:
                code = ""
                if number != "0123":
                    program.stdin.write(f"{number}\n")
                    program.stdin.flush()
                    texts = inbox(number)
                    true(f"{file}: the text is Arabic", texts[0].startswith("رمز التحقق"))
                    code = code_in(texts[0])
                    said, complaints = program.communicate(f"{code if right else wrong(code)}\n", timeout=120)
                else:
                    said, complaints = program.communicate(f"{number}\n\n", timeout=120)
            finally:
                program.kill()
            return program.returncode, said, complaints

        status, said, complaints = run(next(numbers))
        equal(f"{file}: ends well", (status, complaints), (0, ""))
        true(f"{file}: verified ({said!r})", said.rstrip().endswith("verified"))
        status, said, complaints = run(next(numbers), right=False)
        true(f"{file}: a wrong code ({said!r}, {complaints!r})", said.rstrip().endswith("invalid or expired"))
        status, said, complaints = run("0123")
        true(f"{file}: a bad number fails", status != 0)
        true(f"{file}: and says why ({complaints!r})", "it has too few digits" in complaints)
