#!/usr/bin/env bash
# Runs one recipe on the devices of this machine; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/local.sh CONFIG WORKDIR [flags...]

  CONFIG    a recipe, e.g. configs/mae.py (or configs/mae.py:argument)
  WORKDIR   where the run keeps its logs and checkpoints; resumes if it exists
  flags     passed on to jmim.main, e.g. --mode=eval --config.seed=1

environment:
  JMIM_CPU_DEVICES=8   simulate that many devices on the CPU
  JAX_PLATFORMS=cpu    ignore this machine's accelerators
TEXT
}

wrong() { # wrong MESSAGE: say it, show the usage, leave with status 2
  printf 'launch/local.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
(($# >= 2)) || wrong "needs CONFIG and WORKDIR, got $# arguments"
[[ "$1" != -* && "$2" != -* ]] || wrong "CONFIG and WORKDIR come before flags"
[[ -f "${1%%:*}" ]] || wrong "there is no config file '${1%%:*}'"

if [[ -n "${JMIM_CPU_DEVICES:-}" ]]; then
  [[ "$JMIM_CPU_DEVICES" =~ ^[1-9][0-9]*$ ]] ||
    wrong "JMIM_CPU_DEVICES is '$JMIM_CPU_DEVICES', not a positive number"
  count="--xla_force_host_platform_device_count=$JMIM_CPU_DEVICES"
  export XLA_FLAGS="${XLA_FLAGS:+$XLA_FLAGS }$count"
  export JAX_PLATFORMS=cpu
fi

# The code beside this script, whatever the current folder or what is installed.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

config="$1" workdir="$2"
shift 2
# exec: a scheduler's SIGTERM reaches python, which then saves a checkpoint.
exec python -m jmim.main --config="$config" --workdir="$workdir" "$@"
