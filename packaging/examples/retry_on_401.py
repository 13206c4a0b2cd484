#!/usr/bin/env python3
"""Calls an API; when it refuses the access token (401), says so to tokend and tries once more.

    retry_on_401.py TOKEN URL

An access token can end before its time: it was revoked, or the provider's keys changed. Whoever notices
first tells tokend, which asks for another, and all readers get that one.
"""

import sys
import urllib.error
import urllib.request

from read_token import ask, read


def call(url, token):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token['access_token']}"})
    with urllib.request.urlopen(request) as response:
        return response.read()


def another(name, token):
    """Another access token than `token`, which an API refused."""
    generation = token["generation"]
    # 202: it is asked for; 409: somebody else has said so before, and it may be there already.
    status, problem = ask("POST", f"/v1/tokens/{name}/invalidate", {"generation": generation})
    if status not in (202, 409):
        raise RuntimeError(problem["detail"])
    status, document = ask("GET", f"/v1/tokens/{name}?wait=1m", headers={"If-None-Match": f'"{generation}"'})
    if status != 200:
        raise RuntimeError(document["detail"] if document else "no other access token came within a minute")
    return document


def main(name, url):
    token = read(name)
    try:
        answer = call(url, token)
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        # Once: if that is refused as well, it is not the token.
        answer = call(url, another(name, token))
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
