#!/usr/bin/env bash
# Runs one recipe on the devices of this machine; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/local.sh CONFIG WORKDIR [flags...]
       launch/local.sh --supervise CONFIG WORKDIR [flags...]

  CONFIG    a recipe, e.g. configs/mae.py (or configs/mae.py:argument)
  WORKDIR   where the run keeps its logs and checkpoints; resumes if it exists
  flags     passed on to jmim.main, e.g. --mode=eval --config.seed=1

  --supervise   start the run again when it crashes, after 1, 2, 4 ... 60
            seconds; give up after JMIM_CRASHES crashes without a new
            checkpoint, and at once where starting again cannot help
            (exit codes 0 done, 2 a mistake, 3 diverged: docs/faults.md)

environment:
  JMIM_CPU_DEVICES=8   simulate that many devices on the CPU
  JAX_PLATFORMS=cpu    ignore this machine's accelerators
  JMIM_CRASHES=3       for --supervise
  JMIM_BACKOFF=1       for --supervise: seconds before the first new start
TEXT
}

usage_error() { # usage_error MESSAGE: print it and the usage, leave with status 2
  printf 'launch/local.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

log() { printf 'launch/local.sh: %s\n' "$*" >&2; }

supervised=
if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
if [[ "${1:-}" == --supervise ]]; then
  supervised=yes
  shift
fi
(($# >= 2)) || usage_error "needs CONFIG and WORKDIR, got $# arguments"
[[ "$1" != -* && "$2" != -* ]] || usage_error "CONFIG and WORKDIR come before flags"
[[ -f "${1%%:*}" ]] || usage_error "there is no config file '${1%%:*}'"

if [[ -n "${JMIM_CPU_DEVICES:-}" ]]; then
  [[ "$JMIM_CPU_DEVICES" =~ ^[1-9][0-9]*$ ]] ||
    usage_error "JMIM_CPU_DEVICES is '$JMIM_CPU_DEVICES', not a positive number"
  count="--xla_force_host_platform_device_count=$JMIM_CPU_DEVICES"
  export XLA_FLAGS="${XLA_FLAGS:+$XLA_FLAGS }$count"
  export JAX_PLATFORMS=cpu
fi
first="${JMIM_BACKOFF:-1}"
[[ "$first" =~ ^[0-9]+$ ]] || usage_error "JMIM_BACKOFF is '$first', not a number"

# The code beside this script, whatever the current folder or what is installed.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
# shellcheck source-path=SCRIPTDIR source=crashes.bash
source "$root/launch/crashes.bash"
limit_known || usage_error "$LIMIT_WRONG"

config="$1" workdir="$2"
shift 2
command=(python -m jmim.main --config="$config" --workdir="$workdir" "$@")
if [[ -z "$supervised" ]]; then
  # exec: a scheduler's SIGTERM reaches python, which then saves a checkpoint.
  exec "${command[@]}"
fi

child='' signalled=''
pass_on() { # a signal for this script is one for the run; twice, twice
  signalled=yes
  if [[ -n "$child" ]]; then kill -s "$1" "$child" 2>/dev/null || true; fi
}
trap 'pass_on TERM' TERM
trap 'pass_on INT' INT

# In a process group of its own, so that Ctrl-C reaches it only through here;
# and in the background, so that a signal for this script is heard at once.
set -m
at="$(newest "$workdir")" crashes=0 pause="$first"
while true; do
  "${command[@]}" &
  child=$!
  waited "$child"
  if [[ -n "$signalled" ]]; then exit "$status"; fi
  if ends_it "$status"; then exit "$status"; fi
  now="$(newest "$workdir")"
  if ((status == 75)); then # the run was asked to stop, this script was not
    log "stopped at step $now; starting it again"
    continue
  fi
  crashed "$now"
  if ((crashes == 1)); then pause="$first"; fi
  if ((crashes >= limit)); then
    log "crash $crashes in a row at checkpoint $now (status $status): giving up"
    exit "$status"
  fi
  log "crash $crashes of $limit at checkpoint $now (status $status):" \
    "again in $pause s"
  sleep "$pause" &
  child=$!
  wait "$child" || true
  if [[ -n "$signalled" ]]; then exit "$status"; fi
  pause=$((pause * 2 > 60 ? 60 : pause * 2))
done
