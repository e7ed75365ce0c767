#!/bin/sh
# The whole suite, in two halves at once: what plays whole gates, demos (on the ports they ship with) and browsers in real
# time waits most of its time; everything else runs beside it. Both are shown whole; either one failing fails the suite.
# Usage: tools/test.sh PYTEST
set -u
pytest=$1
real="tests/e2e tests/control/test_cli.py tests/web/test_console_browser.py tests/web/test_web_axe.py tests/web/test_web_browser.py"
rest=""
for path in $real; do rest="$rest --ignore=$path"; done
MENWEI_SEED=${MENWEI_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
export MENWEI_SEED
log=$(mktemp)
# shellcheck disable=SC2086
"$pytest" -p no:cacheprovider $real >"$log" 2>&1 &
beside=$!
trap 'kill $beside 2>/dev/null' INT TERM
# shellcheck disable=SC2086
"$pytest" $rest
failed=$?
wait $beside
failed_beside=$?
cat "$log"
[ $failed -eq 0 ] && [ $failed_beside -eq 0 ]
