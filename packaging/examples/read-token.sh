#!/usr/bin/env bash
# Calls an API with an access token that tokend keeps fresh, with nothing but bash and curl.
#
#   read-token.sh TOKEN URL
#
# The token must live a minute more; if there is none, this waits for up to half a minute.
set -euo pipefail
name=$1 url=$2
socket=${TOKEND_SOCKET:-/run/tokend/tokend.sock}

token=$(curl --silent --show-error --fail-with-body --unix-socket "$socket" \
  --header 'Accept: text/plain' "http://localhost/v1/tokens/$name?min_valid=1m&wait=30s")

# By standard input, not as an argument: those can be seen by everybody on the host.
printf 'Authorization: Bearer %s\n' "$token" |
  curl --silent --show-error --fail-with-body --header @- "$url"
