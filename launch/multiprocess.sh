#!/usr/bin/env bash
# Runs one command in several processes of this machine; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/multiprocess.sh N -- FLAGS...

  N       processes; they meet on the loopback, with gloo between them
  FLAGS   of jmim.main, the same for each, e.g.
          --config=configs/mae_digits.py --workdir=runs/two

What several hosts do, on the CPU of one: for tests and for finding mistakes
before a pod is rented. Process 0 prints as it is; lines of the others begin
with their number. When one fails the others get JMIM_GRACE seconds to end by
themselves and are then killed. The exit code is that of the first that failed
(75: all were asked to stop and saved), else 0. A signal is passed on to all.

environment:
  JMIM_CPU_DEVICES=1   devices that each process simulates
  JMIM_GRACE=10        seconds
  JMIM_PORT=           where they meet; empty: a free one
TEXT
}

usage_error() { # usage_error MESSAGE: print it and the usage, leave with status 2
  printf 'launch/multiprocess.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

free_port() { # one that nobody answers on
  local port
  while true; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
(($# >= 1)) || usage_error "needs N, the number of processes"
[[ "$1" =~ ^[1-9][0-9]*$ ]] || usage_error "N is '$1', not a positive number"
[[ "${2:-}" == -- ]] || usage_error "needs -- between N and the flags"
count="$1"
shift 2
devices="${JMIM_CPU_DEVICES:-1}" grace="${JMIM_GRACE:-10}"
[[ "$devices" =~ ^[1-9][0-9]*$ ]] ||
  usage_error "JMIM_CPU_DEVICES is '$devices', not a positive number"
[[ "$grace" =~ ^[0-9]+$ ]] || usage_error "JMIM_GRACE is '$grace', not a number"

# The code beside this script, whatever the current folder or what is installed.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
simulated="--xla_force_host_platform_device_count=$devices"
export XLA_FLAGS="${XLA_FLAGS:+$XLA_FLAGS }$simulated"
export JAX_PLATFORMS=cpu # and jmim.main then chooses gloo
where="127.0.0.1:${JMIM_PORT:-$(free_port)}"

children=() dead=()
# shellcheck disable=SC2317  # the traps call it
pass_on() { # a signal for this script is one for each process; twice, twice
  for child in "${children[@]}"; do
    kill -s "$1" "$child" 2>/dev/null || true
  done
}
trap 'pass_on TERM' TERM
trap 'pass_on INT' INT

label() { # puts [NUMBER] before each line, until there are no more
  trap '' TERM INT
  exec sed -u "s/^/[$1] /"
}

# In process groups of their own: Ctrl-C reaches them only through here.
set -m
for ((i = 0; i < count; i++)); do
  command=(python -m jmim.main "$@"
    --coordinator="$where" --processes="$count" --process="$i")
  if ((i)); then
    "${command[@]}" > >(label "$i") 2> >(label "$i" >&2) &
  else
    "${command[@]}" &
  fi
  children+=($!) dead+=('')
done
set +m

left="$count" code=0 deadline=''
while ((left)); do
  for ((i = 0; i < count; i++)); do
    if [[ -n "${dead[i]}" ]] || kill -0 "${children[i]}" 2>/dev/null; then
      continue
    fi
    status=0
    wait "${children[i]}" || status=$?
    dead[i]=yes left=$((left - 1))
    if ((status && !code)); then code="$status"; fi
    # 75: the others are saving the same step, for as long as it takes.
    if ((status && status != 75)) && [[ -z "$deadline" ]]; then
      printf 'launch/multiprocess.sh: process %d ended with %d\n' \
        "$i" "$status" >&2
      deadline=$((SECONDS + grace))
    fi
  done
  if [[ -n "$deadline" ]] && ((left && SECONDS >= deadline)); then
    for ((i = 0; i < count; i++)); do
      if [[ -z "${dead[i]}" ]]; then kill -9 "${children[i]}" || true; fi
    done
    deadline=$((SECONDS + 1000000)) # once is enough
  fi
  if ((left)); then sleep 0.1 || true; fi
done
exit "$code"
