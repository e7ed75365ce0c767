#!/bin/sh
# Debian packages that the end-to-end tests need: a real MQTT broker, a real Redis, a SIP test peer, systemd's own unit checker,
# a browser and a font with Chinese glyphs for the pages (left out with MENWEI_NO_BROWSER=1).
# Installs only what is missing and only where it may; tests that still lack one fail and name it.
set -eu
missing=""
command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
if [ "${MENWEI_NO_BROWSER:-}" != 1 ]; then
    [ -x /usr/bin/chromium ] || missing="$missing chromium"
    [ -n "$(find /usr/share/fonts -name 'Noto*CJK*' -print -quit 2>/dev/null)" ] || missing="$missing fonts-noto-cjk"
fi
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "please install:$missing" >&2
    exit 1
fi
run=""
[ "$(id -u)" = 0 ] || run="sudo -n"
$run apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing
