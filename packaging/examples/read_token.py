#!/usr/bin/env python3
"""Reads an access token from tokend with nothing but Python's standard library.

    read_token.py TOKEN

As a module: `read("accounts-corporate")["access_token"]`.
"""

import http.client
import json
import os
import socket
import sys

SOCKET = os.environ.get("TOKEND_SOCKET", "/run/tokend/tokend.sock")


class Tokend(http.client.HTTPConnection):
    """HTTP over tokend's Unix socket."""

    def __init__(self, path=SOCKET, timeout=330):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(method, target, body=None, headers=None):
    """The status, and the document that came with it."""
    connection = Tokend()
    try:
        connection.request(method, target, body and json.dumps(body), headers or {})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None
    finally:
        connection.close()


def read(name, min_valid="1m", wait="30s"):
    """The token called `name`: `access_token`, `expires_at`, `generation` and more."""
    status, document = ask("GET", f"/v1/tokens/{name}?min_valid={min_valid}&wait={wait}")
    if status != 200:
        raise RuntimeError(document["detail"])
    return document


if __name__ == "__main__":
    print(read(sys.argv[1])["access_token"])
