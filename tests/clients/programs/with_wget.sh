#!/bin/sh
# POST with wget, whose GnuTLS build looks at no variable for its roots. Usage: URL BODY
set -eu
answer=$(wget --quiet --save-headers --output-document=- --tries=1 --ca-certificate="$SSL_CERT_FILE" \
    --header='Content-Type: application/json' --post-data="$2" "$1" | tr -d '\r')
status=$(echo "$answer" | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
replayed=$(echo "$answer" | sed -n 's/^Idempotency-Replayed: //p')
echo "$status|${replayed:-None}|$(echo "$answer" | sed '1,/^$/d')"
