#!/bin/sh
# An alert from a shell: what stands on stdin goes along as its text.
#
#     df -h | ops-alert.sh disk/db1 "disk is full on db1"        an alert; said again, it is one more report of the same
#     ops-alert.sh --resolved disk/db1 "rotated the logs"        it is over
#
#     0 3 * * *  backup >/var/log/backup 2>&1 && ops-alert.sh --resolved backup || ops-alert.sh backup "backup failed" </var/log/backup
#
# RELAY_URL, RELAY_TOKEN (the integration's), RELAY_TARGET (cap:ops), SEVERITY (error). On a relay that asks for no token:
# RELAY_INTEGRATION. Exit status: 0 the relay has it, 1 it has not (stderr says why), 2 usage.

set -eu

if [ "${1:-}" = --resolved ]; then
    shift
    status=resolved
else
    status=open
fi
if [ $# -lt 1 ] || [ $# -gt 2 ] || { [ $status = open ] && [ $# -ne 2 ]; }; then
    echo "usage: ops-alert.sh KEY TITLE <TEXT | ops-alert.sh --resolved KEY [REASON]" >&2
    exit 2
fi

# stdin as a JSON text, whatever it holds: JSON is UTF-8, and no control character but tab and newline stays.
if command -v iconv >/dev/null; then
    readable() { iconv -c -f UTF-8 -t UTF-8 2>/dev/null | LC_ALL=C tr -d '\000-\010\013-\037\177'; }
else
    readable() { LC_ALL=C tr -cd '\011\012\040-\176'; }
fi
tab=$(printf '\t')
quoted() {
    printf '"'
    readable | LC_ALL=C sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e "s/$tab/\\\\t/g" |
        LC_ALL=C awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }'
    printf '"'
}
field() { # NAME VALUE
    printf '"%s":' "$1"
    printf '%s' "$2" | quoted
}

event=$(
    printf '{'
    field status "$status"
    printf ','
    field dedupeKey "$1"
    # One id for this run: when curl has to try again, it is still one report.
    printf ',%s' "$(field idempotencyKey "$(hostname)/$(date +%s)/$$")"
    if [ $status = open ]; then
        printf ',%s,%s,%s,%s,"body":' "$(field title "$2")" "$(field target "${RELAY_TARGET:-cap:ops}")" \
            "$(field type ops.alert)" "$(field severity "${SEVERITY:-error}")"
        { [ -t 0 ] || head -c 32768; } | quoted
    elif [ $# -eq 2 ]; then
        printf ',%s' "$(field reason "$2")"
    fi
    [ -z "${RELAY_INTEGRATION:-}" ] || printf ',%s' "$(field integration "$RELAY_INTEGRATION")"
    printf '}'
)

# The token goes by stdin: what stands on a command line shows in ps.
login=
[ -z "${RELAY_TOKEN:-}" ] || login="header = \"Authorization: Bearer $RELAY_TOKEN\""
answer=$(
    curl --silent --show-error --config - --header 'Content-Type: application/json' --data-binary "$event" \
        --max-time 10 --retry 5 --retry-connrefused --retry-max-time 60 --write-out '\n%{http_code}' \
        "${RELAY_URL:-http://localhost:4850}/api/integrations/events" <<CONFIG
$login
CONFIG
) || exit 1
code=${answer##*
}
case $status/$code in
    open/20[01] | resolved/200) ;;
    resolved/404) ;; # nobody knows of it any more
    *)
        printf 'ops-alert: the relay said %s\n' "$code: ${answer%
*}" >&2
        exit 1
        ;;
esac
