#!/bin/sh
# Tests release.sh against a stand-in for ProGet: deployserver double -- ./test_release.sh
set -eu
cd "$(dirname "$0")"

# control METHOD PATH [JSON]: tell the stand-in, or ask it.
control() {
    answer=$(curl --silent --fail-with-body --request "$1" "$PROGET_URL/__double__/$2" ${3+--data "$3"}) || {
        echo "$answer" >&2
        exit 1
    }
}

# begin NAME: everything is as at the start again.
begin() {
    echo "- $1"
    control POST reset
}

# fails WORDS: release.sh must fail, and say these words.
fails() {
    if said=$(./release.sh Newtonsoft.Json 12.0.3 web-01 2>&1); then
        echo "release.sh should have failed" >&2
        exit 1
    fi
    case $said in
        *"$1"*) ;;
        *)
            echo "release.sh should have said: $1, but it said: $said" >&2
            exit 1
            ;;
    esac
}

begin 'records what was deployed'
./release.sh Newtonsoft.Json 12.0.3 web-01
control POST verify '{"deployed": {"package": "Newtonsoft.Json", "version": "12.0.3", "target": "web-01", "times": 1}}'

begin 'says why a record was refused'
(PROGET_API_KEY=wrong && fails 'but not recorded: The API key is not valid')
control POST verify '{"notDeployed": {}}'

begin 'comes back when it is told to'
control POST faults '{"do": "answer", "status": 503, "retry_after": 1, "first": 2}'
./release.sh Newtonsoft.Json 12.0.3 web-01
control POST verify '{"deployed": {"package": "Newtonsoft.Json", "times": 1}}'

begin 'does not send again what may have been stored'
control POST faults '{"do": "reset", "when": "stored"}'
fails 'and perhaps recorded'
control POST verify '{"deployed": {"package": "Newtonsoft.Json", "times": 1}}'

echo 'all is well'
