#!/usr/bin/env bash
# A run on a Cloud TPU pod, from the machine you sit at; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/tpu_pod.sh ACTION NAME [options] [-- FLAGS...]

  NAME     of the TPU; one NAME is one run
  FLAGS    of jmim.main, the same on every worker. --workdir must be a folder
           that all workers share (see --setup)

actions:
  train    all of the below, until the run is done: make the TPU unless it is
           there, copy, run, show the log; make it anew when it was preempted.
           Leave it with Ctrl-C and come back: the run goes on meanwhile
  create   make the TPU
  copy     send this checkout to all workers and install it there
  run      start the run on all workers, in place of one that is there; it
           goes on when you leave
  tail     show the log of worker 0 until the run ends; its exit code
  stop     ask the run to save and end (exit code 75)
  delete   give the TPU back

options:
  --zone=ZONE        e.g. us-west4-a (required, or TPU_ZONE)
  --type=TYPE        e.g. v5litepod-256 (required to create, or TPU_TYPE)
  --version=VERSION  system image (v2-alpha-tpuv5-lite, or TPU_VERSION)
  --project=PROJECT  of Google Cloud (that of gcloud's configuration)
  --setup=COMMAND    done on every worker after the copy, e.g. mounting the
                     disk that --workdir and --config.data.data_dir lie on
  --spot             cheaper, and taken away at any time
  --delete-after     `train` gives the TPU back when the run has ended
  --dry              print every command instead of doing it

environment: JMIM_CRASHES=3 (crashes of the run in a row before `train` gives
up), JMIM_BACKOFF=30 (seconds between attempts to get a TPU or reach it)
TEXT
}

log() { printf 'launch/tpu_pod.sh: %s\n' "$*" >&2; }

usage_error() { # usage_error MESSAGE: print it and the usage, leave with status 2
  printf 'launch/tpu_pod.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
(($# >= 2)) || usage_error "needs ACTION and NAME, got $# arguments"
action="$1" name="$2"
shift 2
case "$action" in
train | create | copy | run | tail | stop | delete) ;;
*) usage_error "there is no action '$action'" ;;
esac
[[ "$name" =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] ||
  usage_error "NAME is '$name', not lower-case letters, digits and -"

zone="${TPU_ZONE:-}" type="${TPU_TYPE:-}" setup='' dry='' after=''
version="${TPU_VERSION:-v2-alpha-tpuv5-lite}"
more=() flags=()
while (($#)); do
  case "$1" in
  --zone=*) zone="${1#*=}" ;;
  --type=*) type="${1#*=}" ;;
  --version=*) version="${1#*=}" ;;
  --project=*) more+=("$1") ;;
  --setup=*) setup="${1#*=}" ;;
  --spot) spot=--spot ;;
  --delete-after) after=yes ;;
  --dry) dry=yes ;;
  --)
    shift
    flags=("$@")
    break
    ;;
  *) usage_error "there is no option '$1'; flags of jmim come after --" ;;
  esac
  shift
done
[[ -n "$zone" ]] || usage_error "needs --zone or TPU_ZONE"
more+=(--zone="$zone")
if [[ "$action" == train || "$action" == create ]]; then
  [[ -n "$type" ]] || usage_error "needs --type or TPU_TYPE"
fi
if [[ "$action" == train || "$action" == run ]]; then
  [[ " ${flags[*]} " == *" --config="* && " ${flags[*]} " == *" --workdir="* ]] ||
    usage_error "needs -- --config=RECIPE --workdir=FOLDER"
fi
limit="${JMIM_CRASHES:-3}" pause="${JMIM_BACKOFF:-30}"
[[ "$limit" =~ ^[1-9][0-9]*$ ]] ||
  usage_error "JMIM_CRASHES is '$limit', not a positive number"
[[ "$pause" =~ ^[0-9]+$ ]] || usage_error "JMIM_BACKOFF is '$pause', not a number"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# --- one command each

call() { # call COMMAND...: do it, or with --dry print it as one would type it
  if [[ -n "$dry" ]]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

tpu() { call gcloud compute tpus tpu-vm "$@" "${more[@]}"; }

on() { # on WORKER COMMAND: `all`, or a number
  tpu ssh "$name" --worker="$1" --command="$2"
}

create() { tpu create "$name" --accelerator-type="$type" \
  --version="$version" ${spot:+"$spot"}; }

delete() { tpu delete "$name" --quiet; }

copy() { # the checkout as it is now, and a Python 3.12 with what it needs
  local archive="${TMPDIR:-/tmp}/jmim-$name.tar.gz"
  call tar -C "$root" -czf "$archive" --exclude-vcs --exclude=.venv \
    --exclude=runs --exclude=__pycache__ .
  tpu scp "$archive" "$name:jmim.tar.gz" --worker=all
  # The system's Python is older than 3.11.
  on all "rm -rf jmim && mkdir jmim && tar -xzf jmim.tar.gz -C jmim &&
    python3 -m pip install -q --user uv &&
    ~/.local/bin/uv venv -q --clear --python=3.12 jmim/.venv &&
    ~/.local/bin/uv pip install -q --python=jmim/.venv/bin/python -e './jmim[tpu]'"
  if [[ -n "$setup" ]]; then on all "$setup"; fi
}

# Files of a worker's home: jmim.log, jmim.pid (of the run), jmim.exit.
# shellcheck disable=SC2016  # the worker's shell expands them
readonly ALIVE='kill -0 "$(cat jmim.pid)"' \
  FOLLOW='tail -n +1 --pid="$(cat jmim.pid)" -F jmim.log
    until [ -s jmim.exit ]; do sleep 1; done; exit "$(cat jmim.exit)"' \
  BEGIN='pid=$(cat jmim.pid 2>/dev/null) &&
    grep -q jmim.main "/proc/$pid/cmdline" 2>/dev/null && kill -9 "$pid"
    rm -f jmim.exit jmim.pid; cd jmim' \
  BEGUN='until [ -s ../jmim.pid ]; do sleep 0.1; done' \
  STOP='kill -TERM "$(cat jmim.pid)"'

run() { # without a terminal, so that it goes on when the connection ends
  local command
  command="$(printf '%q ' .venv/bin/python -u -m jmim.main \
    --coordinator=auto "${flags[@]}")"
  command+='& echo $! >../jmim.pid; wait $!; echo $? >../jmim.exit'
  command="$(printf '%q' "$command")"
  on all "$BEGIN; nohup bash -c $command >../jmim.log 2>&1 </dev/null & $BEGUN"
}

# Their exit codes are those of the worker, or 255 if it cannot be reached.
running() { on 0 "$ALIVE"; }

follow() { on 0 "$FOLLOW"; }

stop() { on all "$STOP"; }

state() { # READY, CREATING, PREEMPTED ... or MISSING
  gcloud compute tpus tpu-vm describe "$name" "${more[@]}" \
    --format='value(state)' 2>/dev/null || echo MISSING
}

# --- all of them

obtain() { # a TPU that is READY and has the code
  local now
  while true; do
    now="$(state)"
    case "$now" in
    READY) return ;;
    MISSING) if create && copy; then return; fi ;;
    CREATING | STARTING | RESTARTING | REPAIRING) ;;
    *) # PREEMPTED, TERMINATED, STOPPED ...: it cannot be started again
      log "$name is $now: making it anew"
      delete || true
      continue
      ;;
    esac
    log "$name is $now: again in $pause s"
    sleep "$pause"
  done
}

plan() { # --dry: the commands of an undisturbed run, and of a preemption
  create
  copy
  run
  follow
  echo '# if it was preempted:'
  delete
  echo '# and again from the first command; when the run has ended:'
  if [[ -n "$after" ]]; then delete; fi
}

finish() { # finish CODE
  if [[ -n "$after" ]]; then delete; fi
  exit "$1"
}

train() {
  local crashes=0 code started there=''
  if [[ "$(state)" == READY ]]; then
    if running; then there=yes; else copy; fi
  fi
  while true; do
    obtain
    started="$SECONDS"
    code=0
    if [[ -z "$there" ]] && ! run; then
      code=1
      log "could not start it on all workers"
    else
      follow || code=$?
    fi
    there=''
    while ((code == 255)) && [[ "$(state)" == READY ]]; do
      log "the connection was lost: again in $pause s"
      sleep "$pause"
      code=0
      follow || code=$?
    done
    case "$code" in
    0 | 2 | 3) finish "$code" ;; # done, a mistake, diverged: see docs/faults.md
    75 | 255) crashes=0 ;;
    *)
      # An hour of training is progress.
      if ((SECONDS - started > 3600)); then crashes=0; fi
      crashes=$((crashes + 1))
      if ((crashes >= limit)); then
        log "crash $crashes in a row (status $code): giving up"
        finish "$code"
      fi
      log "crash $crashes of $limit (status $code): again in $pause s"
      sleep "$pause"
      ;;
    esac
  done
}

case "$action" in
train) if [[ -n "$dry" ]]; then plan; else train; fi ;;
tail) follow ;;
*) "$action" ;;
esac
