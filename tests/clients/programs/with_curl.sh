#!/bin/sh
# POST with curl. Usage: URL BODY [OPTION]...
set -eu
url=$1 body=$2
shift 2
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
status=$(curl --no-progress-meter --suppress-connect-headers --dump-header "$kept/head" --output "$kept/body" \
    --write-out '%{http_code}' --header 'Content-Type: application/json' --data "$body" "$@" "$url")
replayed=$(tr -d '\r' <"$kept/head" | sed -n 's/^Idempotency-Replayed: //p')
echo "$status|${replayed:-None}|$(cat "$kept/body")"
