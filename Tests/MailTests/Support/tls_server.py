"""A mail server with TLS for MailTests. It serves one client after another, and prints what it receives.

usage: tls_server.py tls|starttls|stripped|injected|fragment|fake_login CERTIFICATE KEY

tls: TLS from the first byte. starttls: offers STARTTLS. stripped: does not offer it. injected: sends more replies in
clear text with its reply to STARTTLS, as an attacker on the way would. fragment: sends a part of one there.
fake_login: confirms a login in clear text, before TLS, and offers none inside.
"""

import socket
import ssl
import sys

mode, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def say(text):
    print(text, flush=True)


def serve(client):
    secure = mode == "tls"
    if secure:
        client = context.wrap_socket(client, server_side=True)
    client.sendall(b"220 test ESMTP\r\n")
    reader = client.makefile("rb")
    in_content = False
    while line := reader.readline():
        say(("tls: " if secure else "clear: ") + line.decode().rstrip())
        verb = line[:4].upper().strip()
        reply = "250 2.0.0 ok"
        if in_content:
            if line != b".\r\n":
                continue
            in_content, reply = False, "250 2.0.0 queued as 4F2A1"
        elif verb == b"EHLO":
            offer = "AUTH PLAIN LOGIN" if secure else "SIZE 1000000" if mode == "stripped" else "STARTTLS"
            reply = "250-test\r\n250 " + offer
            if mode == "fake_login":
                reply = "250 test" if secure else "235-test\r\n235-STARTTLS\r\n235 ok"
        elif verb == b"STAR":
            reply = "220 go on"
            if mode == "injected":
                reply += "\r\n250-test\r\n250 AUTH PLAIN\r\n334 \r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 ok"
        elif verb == b"AUTH":
            reply = "235 2.7.0 ok"
        elif verb == b"DATA":
            in_content, reply = True, "354 go on"
        elif verb == b"QUIT":
            reply = "221 bye"
        more = b"250-AUTH " if verb == b"STAR" and mode == "fragment" else b""
        client.sendall(reply.encode() + b"\r\n" + more)
        if verb == b"STAR":
            client = context.wrap_socket(client, server_side=True)
            reader = client.makefile("rb")
            secure = True
            say("secure")
        if verb == b"QUIT":
            return


listener = socket.create_server(("127.0.0.1", 0))
say(f"port: {listener.getsockname()[1]}")
while True:
    connection, _ = listener.accept()
    say("accepted")
    try:
        serve(connection)
    except OSError as error:
        say(f"error: {type(error).__name__}")
    connection.close()
    say("closed")
