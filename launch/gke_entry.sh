#!/usr/bin/env bash
# One host of a run on GKE, inside the image of launch/Dockerfile; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/gke_entry.sh FLAGS...

  FLAGS    of jmim.main, with --workdir=FOLDER

Ends with the code of the run. JobSet starts all hosts again after any but 2 and 3
(launch/gke.yaml); after JMIM_CRASHES (3) crashes in a row without a new
checkpoint all hosts end with 6, which JobSet takes for an end, too. They are
counted in WORKDIR/crashes, once for each JOBSET_ATTEMPT (0 begins anew), by the
host that ends first without having been asked to.
TEXT
}

usage_error() { # usage_error MESSAGE: print it and the usage, leave with status 2
  printf 'launch/gke_entry.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
workdir=''
for flag in "$@"; do
  if [[ "$flag" == --workdir=* ]]; then workdir="${flag#*=}"; fi
done
[[ -n "$workdir" ]] || usage_error "needs --workdir=FOLDER"
attempt="${JOBSET_ATTEMPT-0}"
[[ "$attempt" =~ ^[0-9]+$ ]] ||
  usage_error "JOBSET_ATTEMPT is '$attempt', not a number (launch/gke.yaml)"
# shellcheck source-path=SCRIPTDIR source=crashes.bash
source "$(dirname "${BASH_SOURCE[0]}")/crashes.bash"
limit_known || usage_error "$LIMIT_WRONG"

# What a JobSet before this one left: whoever makes a new one has looked at it.
if ((attempt == 0)); then rm -f "$workdir/crashes" || true; fi

# Kubernetes tells this script alone; the run saves, and is waited for.
child='' signalled='' told=''
pass_on() {
  signalled=yes
  if [[ -n "$child" ]]; then
    told=yes
    kill -TERM "$child" 2>/dev/null || true
  fi
}
trap pass_on TERM
python -m jmim.main --coordinator=auto "$@" &
child=$!
if [[ -n "$signalled" && -z "$told" ]]; then pass_on; fi # before there was a child
waited "$child"

if [[ -n "$signalled" ]] || ends_it "$status" || ((status == 75)); then
  exit "$status"
fi
recall "$workdir" "$attempt"
if [[ -n "$last" ]] && ((last >= attempt)); then # another host was first
  if ((last == attempt && crashes == 0)); then exit 6; fi # and gave up
  exit "$status"
fi
mkdir -p "$workdir" || true
crashed "$(newest "$workdir")"
text="crash $crashes in a row at checkpoint $at (status $status)"
if ((crashes < limit)) && keep "$workdir" "$attempt"; then
  printf 'launch/gke_entry.sh: %s\n' "$text" >&2
  exit "$status"
fi
printf 'launch/gke_entry.sh: %s: giving up\n' "$text" >&2
crashes=0 # what the other hosts of this attempt see
keep "$workdir" "$attempt" || true
exit 6
