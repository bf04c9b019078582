#!/usr/bin/env bash
# Prepares and runs a gateway for the mail bench (bench/contestant.toml): relays for loopback, signs when told to,
# delivers to the bench's sink, with the durability of production. Settings come from the environment only.
# SMTPETER_WORKERS: how many processes, as many as there are CPUs without it.
set -euo pipefail
home=$SMTPETER_HOME
smtpeter=$home/.venv/bin/smtpeter

export SMTPETER_SERVER__HOSTNAME=mx.bench.test
export SMTPETER_SERVER__DATA_DIR=$BENCH_DIR/data
export SMTPETER_SMTP__LISTENERS="127.0.0.1:$BENCH_SMTP_PORT,127.0.0.1:$SUBMISSION_PORT"
export SMTPETER_SMTP__TLS_LISTENERS=""
export SMTPETER_SMTP__TRUSTED_NETWORKS="127.0.0.0/8=user@bench.test"
export SMTPETER_TLS__CERTIFICATE=$BENCH_TLS_CERT
export SMTPETER_TLS__KEY=$BENCH_TLS_KEY
export SMTPETER_HTTP__LISTENERS=127.0.0.1:$REST_PORT
export SMTPETER_HTTP__TLS_LISTENERS=""
export SMTPETER_HTTP__ALLOW_LOOPBACK_HTTP=true
export SMTPETER_DELIVERY__SMART_HOST__HOST=${BENCH_SINK%:*}
export SMTPETER_DELIVERY__SMART_HOST__PORT=${BENCH_SINK##*:}
export SMTPETER_DELIVERY__SMART_HOST__TLS=none
export SMTPETER_DELIVERY__MESSAGES_PER_CONNECTION=1000000

# raised for the load test, which has one login and one token; the limits per address do not hold for trusted networks
export SMTPETER_SMTP__MAX_CONNECTIONS_PER_LOGIN=10000
export SMTPETER_HTTP__REQUESTS_PER_SECOND=0

case $1 in
  prepare)
    "$smtpeter" account create bench
    echo s3cret-bench | "$smtpeter" login create --user user@bench.test --password-file=-
    echo smtpeter_bench-bench-bench-bench-bench-be | "$smtpeter" token create --secret-file=-
    if [ -n "${BENCH_DKIM:-}" ]; then
      "$smtpeter" domain add "$BENCH_DKIM_DOMAIN" --approved --dkim-key "$BENCH_DKIM_KEY" --selector "$BENCH_DKIM_SELECTOR"
    else
      "$smtpeter" domain add bench.test --approved --unsigned
    fi
    ;;
  serve)
    exec "$smtpeter" serve --workers "${SMTPETER_WORKERS:-$(nproc)}" \
      --roles "$([ -n "${BENCH_HOLD:-}" ] && echo smtp,api || echo smtp,api,mta)"
    ;;
esac
