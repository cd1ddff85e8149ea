#!/usr/bin/env bash
# A run on a Cloud TPU pod, from the machine you sit at; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/tpu_pod.sh ACTION NAME [options] [-- FLAGS...]

  NAME     of the TPU; one NAME is one run
  FLAGS    of jmim.main, the same on every worker. --workdir must be a folder
           that all workers share (see --setup), named from / on

actions:
  train    all of the below, until the run is done: make the TPU unless it is
           there, copy, run, show the log; make it anew when it was preempted.
           Leave it with Ctrl-C and come back: the run goes on meanwhile
  create   make the TPU
  copy     send this checkout to all workers and install it there; not under
           a run that is there
  run      start the run on all workers, in place of one that is there, which
           is asked to save first; it goes on when you leave
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

environment: JMIM_CRASHES=3 (crashes of the run in a row, without a new
checkpoint, before `train` gives up), JMIM_BACKOFF=30 (seconds between attempts to get a TPU or reach it),
JMIM_GRACE=120 (seconds that a run may take to save before it is killed)
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
  # It would lie in the checkout, which `copy` replaces.
  [[ " ${flags[*]}" != *" --workdir="[!/]* ]] ||
    usage_error "needs a --workdir that begins with /"
fi
pause="${JMIM_BACKOFF:-30}" grace="${JMIM_GRACE:-120}"
[[ "$pause" =~ ^[0-9]+$ ]] || usage_error "JMIM_BACKOFF is '$pause', not a number"
[[ "$grace" =~ ^[0-9]+$ ]] || usage_error "JMIM_GRACE is '$grace', not a number"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source-path=SCRIPTDIR source=crashes.bash
source "$root/launch/crashes.bash"
limit_known || usage_error "$LIMIT_WRONG"
# shellcheck source-path=SCRIPTDIR source=tpu_worker.bash
source "$root/launch/tpu_worker.bash"

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
  on all "$END
    rm -rf jmim && mkdir jmim && tar -xzf jmim.tar.gz -C jmim &&
    python3 -m pip install -q --user uv &&
    ~/.local/bin/uv venv -q --clear --python=3.12 jmim/.venv &&
    ~/.local/bin/uv pip install -q --python=jmim/.venv/bin/python -e './jmim[tpu]'"
  if [[ -n "$setup" ]]; then on all "$setup"; fi
}

run() { # without a terminal, so that it goes on when the connection ends
  local command
  command="$(printf '%q ' .venv/bin/python -u -m jmim.main \
    --coordinator=auto "${flags[@]}")"
  command+='& echo $! >../jmim.pid; wait $!; echo $? >../jmim.exit'
  command="$(printf '%q' "$command")"
  on all "$END; $BEGIN; nohup bash -c $command >../jmim.log 2>&1 </dev/null & $BEGUN"
}

told() { # told COMMAND: what worker 0 says of the run; nothing: it is not reached
  local said
  if said="$(on 0 "$1")"; then sed -n 's/^jmim //p' <<<"$said" | tail -n 1; fi
}

follow() { # shows the log; `code` is that of the run, or '' where nobody told
  on 0 "$FOLLOW" || true
  if [[ -n "$dry" ]]; then
    on 0 "$ENDED"
    code=0
    return
  fi
  code="$(told "$ENDED")"
  case "$code" in
  ended\ *) code="${code#* }" ;;
  gone) code=137 ;; # its worker was started anew
  *) code='' ;;
  esac
}

stop() { on all "$STOP"; }

state() { # READY, CREATING, PREEMPTED ..., MISSING, or UNKNOWN: nobody told
  local said errors
  errors="$(mktemp)"
  if said="$(gcloud compute tpus tpu-vm describe "$name" "${more[@]}" \
    --format='value(state)' 2>"$errors")"; then
    printf '%s\n' "${said:-UNKNOWN}"
  elif grep -q NOT_FOUND "$errors"; then
    echo MISSING
  else # the network, the login, the service: nothing about the TPU
    log "$(tail -n 1 "$errors")"
    echo UNKNOWN
  fi
  rm -f "$errors"
}

# --- all of them

again() { # again WHAT: say it, and wait
  log "$1: again in $pause s"
  sleep "$pause"
}

made='' copied='' # this TPU is new; it has the code
obtain() {        # a TPU that is READY
  local now
  while true; do
    now="$(state)"
    case "$now" in
    READY) return ;;
    MISSING)
      if create; then
        made=yes copied=''
        return
      fi
      ;;
    PREEMPTED | TERMINATED | STOPPED) # it cannot be started again
      log "$name is $now: making it anew"
      if delete; then continue; fi
      ;;
    esac # what is being made or repaired, or not known, is waited for
    again "$name is $now"
  done
}

progress() { # the step of the newest checkpoint; where nobody tells, as before
  local workdir steps
  for workdir in "${flags[@]}"; do
    if [[ "$workdir" == --workdir=* ]]; then break; fi
  done
  workdir="$(printf '%q' "${workdir#*=}")"
  steps="$(on 0 "cd jmim; . launch/crashes.bash; newest $workdir")" || steps=''
  if [[ "$steps" =~ ^[0-9]+$ ]]; then echo "$steps"; else echo "${at:-0}"; fi
}

begin() { # the run, unless it is there; 1: it may be there in part
  if [[ -z "$made" ]]; then
    case "$(told "$STATE")" in
    alive) return ;;
    '') return 1 ;;
    esac
  fi
  if [[ -z "$copied" ]]; then copy || return 1; fi
  copied=yes
  run || return 1
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
  local there=''
  while true; do
    obtain
    if [[ -n "$made" ]]; then there=''; fi
    if [[ -z "$there" ]]; then
      if ! begin; then
        # What has begun on some workers ends by itself, or is found.
        again "could not reach all workers"
        made=''
        continue
      fi
      there=yes made=''
    fi
    follow
    if [[ -z "$code" ]]; then # the run may go on
      again "the connection was lost"
      continue
    fi
    there=''
    if ends_it "$code"; then finish "$code"; fi
    if ((code == 75)); then continue; fi
    crashed "$(progress)"
    if ((crashes >= limit)); then
      log "crash $crashes in a row at checkpoint $at (status $code): giving up"
      finish "$code"
    fi
    again "crash $crashes of $limit at checkpoint $at (status $code)"
  done
}

case "$action" in
train) if [[ -n "$dry" ]]; then plan; else train; fi ;;
tail) follow && exit "${code:-255}" ;;
copy)
  if ! on all "$IDLE"; then
    log "a run is there, or a worker could not be asked: stop it first"
    exit 1
  fi
  copy
  ;;
*) "$action" ;;
esac
