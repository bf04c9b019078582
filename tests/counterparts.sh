#!/usr/bin/env bash
# Installs the independent programs that the tests talk to, on Debian and Ubuntu; elsewhere the tests that need one
# name it and are skipped. Starts no service.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need swaks swaks
perl -MNet::SSLeay -e1 >/dev/null 2>&1 || missing+=(libnet-ssleay-perl) # without it swaks has no TLS
need curl curl
need openssl openssl
need postfix postfix
need smtp-sink postfix
need opendkim opendkim
need opendkim-testmsg opendkim-tools
need msmtp msmtp
need rspamc rspamd
need tidy tidy
perl -MMIME::Parser -e1 >/dev/null 2>&1 || missing+=(libmime-tools-perl)
command -v google-chrome >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || need chromium chromium
need php php-cli
php -r 'exit((int) !extension_loaded("curl"));' >/dev/null 2>&1 || missing+=(php-curl)
need node nodejs
NODE_PATH=/usr/share/nodejs node -e 'require("nodemailer")' >/dev/null 2>&1 || missing+=(node-nodemailer)
compgen -G '/usr/lib/*/sasl2/libplain.so' >/dev/null || missing+=(libsasl2-modules) # without it Postfix has no AUTH
[ -e /usr/share/php/libphp-phpmailer/src/PHPMailer.php ] || missing+=(libphp-phpmailer)

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed, their tests are skipped: ${missing[*]}"
  exit 0
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root=(sudo -n); else
    echo "not installed (needs root), their tests are skipped: ${missing[*]}"
    exit 0
  fi
fi

# packages must not start their services: the tests start what they need, on loopback
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod +x $policy
  made=1
fi
cleanup() { if [ -n "$made" ]; then "${as_root[@]}" rm -f $policy; fi; }
trap cleanup EXIT
echo "postfix postfix/main_mailer_type select No configuration" | "${as_root[@]}" debconf-set-selections
if ! "${as_root[@]}" apt-get update -qq; then
  echo "the package lists cannot be had, the tests of these are skipped: ${missing[*]}"
  exit 0
fi
wanted=() unknown=()
for name in "${missing[@]}"; do
  if apt-cache show "$name" >/dev/null 2>&1; then wanted+=("$name"); else unknown+=("$name"); fi
done
if [ ${#unknown[@]} -gt 0 ]; then echo "not in this system's package list, their tests are skipped: ${unknown[*]}"; fi
if [ ${#wanted[@]} -eq 0 ]; then exit 0; fi
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
if install "${wanted[@]}"; then exit 0; fi
failed=() # one that cannot be had, such as the 200 MB of a browser, does not keep the others away
for name in "${wanted[@]}"; do install "$name" || failed+=("$name"); done
if [ ${#failed[@]} -gt 0 ]; then echo "not installed, their tests are skipped: ${failed[*]}"; fi
