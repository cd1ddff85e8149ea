#!/usr/bin/env bash
# One host of a run on GKE, inside the image of launch/Dockerfile; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/gke_entry.sh FLAGS...

  FLAGS    of jmim.main, with --workdir=FOLDER

Ends with the code of the run. JobSet starts all hosts again after any but 2 and 3
(launch/gke.yaml); after JMIM_CRASHES (3) crashes in a row without a new
checkpoint this ends with 6, which JobSet takes for an end, too. They are counted
in WORKDIR/crashes, once for each JOBSET_ATTEMPT, by the host that ends first.
TEXT
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
workdir=''
for flag in "$@"; do
  if [[ "$flag" == --workdir=* ]]; then workdir="${flag#*=}"; fi
done
if [[ -z "$workdir" ]]; then
  usage >&2
  exit 2
fi
# shellcheck source-path=SCRIPTDIR source=crashes.bash
source "$(dirname "${BASH_SOURCE[0]}")/crashes.bash"

# Kubernetes tells this script alone; the run saves, and is waited for.
child=''
trap 'if [[ -n "$child" ]]; then kill -TERM "$child" 2>/dev/null || true; fi' TERM
python -m jmim.main --coordinator=auto "$@" &
child=$!
wait "$child" || true
while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
status=0
wait "$child" || status=$? # of the run, not of a `wait` that a signal cut short

if ends_it "$status" || ((status == 75)); then exit "$status"; fi
attempt="${JOBSET_ATTEMPT:-0}" before=''
read -r at crashes before 2>/dev/null <"$workdir/crashes" || true
[[ "$at $crashes $before" =~ ^[0-9]+\ [0-9]+\ [0-9]+$ ]] || at='' before=''
if [[ "$before" == "$attempt" ]]; then exit "$status"; fi # another host was first
mkdir -p "$workdir" || true
crashed "$(newest "$workdir")"
text="crash $crashes in a row at checkpoint $at (status $status)"
if ((crashes < ${JMIM_CRASHES:-3})) &&
  echo "$at $crashes $attempt" >"$workdir/crashes"; then
  printf 'launch/gke_entry.sh: %s\n' "$text" >&2
  exit "$status"
fi
printf 'launch/gke_entry.sh: %s: giving up\n' "$text" >&2
# Whoever starts it again has looked at it.
echo "$at 0 $attempt" >"$workdir/crashes" || true
exit 6
