#!/usr/bin/env bash
# A run on TPU slices of a GKE cluster; see usage below.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: launch/gke.sh start NAME --image=IMAGE [options] -- FLAGS...
       launch/gke.sh tail NAME
       launch/gke.sh stop NAME

  start    apply launch/gke.yaml, filled in
  tail     show the log of the first host
  stop     remove the run; its hosts save first, and it can be started again
  FLAGS    of jmim.main; /runs is the disk that all hosts share, e.g.
           --config=configs/mae_imagenet.py --workdir=/runs/mae

options:
  --image=IMAGE      made with launch/Dockerfile
  --tpu=v5e          v4, v5e, v5p or v6e
  --topology=16x16   chips of a slice
  --slices=1
  --claim=jmim-runs  PersistentVolumeClaim (ReadWriteMany) mounted at /runs
  --dry              print what would be applied, or the command

environment: JMIM_CRASHES=3 (crashes in a row, without a new checkpoint, before
the run is not started again)
TEXT
}

usage_error() { # usage_error MESSAGE: print it and the usage, leave with status 2
  printf 'launch/gke.sh: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
(($# >= 2)) || usage_error "needs start, tail or stop and NAME, got $# arguments"
action="$1" name="$2"
shift 2
[[ "$action" =~ ^(start|tail|stop)$ ]] || usage_error "there is no action '$action'"
[[ "$name" =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ ]] ||
  usage_error "NAME is '$name', not lower-case letters, digits and -"

image='' tpu=v5e topology=16x16 slices=1 claim=jmim-runs dry=''
flags=()
while (($#)); do
  case "$1" in
  --image=*) image="${1#*=}" ;;
  --tpu=*) tpu="${1#*=}" ;;
  --topology=*) topology="${1#*=}" ;;
  --slices=*) slices="${1#*=}" ;;
  --claim=*) claim="${1#*=}" ;;
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

# shellcheck source-path=SCRIPTDIR source=crashes.bash
source "$(dirname "${BASH_SOURCE[0]}")/crashes.bash"
limit_known || usage_error "$LIMIT_WRONG"

call() { # call COMMAND...: do it, or with --dry print it
  if [[ -n "$dry" ]]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

json() { # json STRING...: as a list in JSON, which is YAML
  local text item list=''
  for item in "$@"; do
    text="${item//\\/\\\\}"
    text="${text//\"/\\\"}"
    list+="${list:+, }\"$text\""
  done
  printf '[%s]' "$list"
}

filled_in() { # launch/gke.yaml with the @NAMES@ replaced
  local text accelerator chips=1 side
  case "$tpu" in
  v4) accelerator="tpu-v4-podslice" ;;
  v5e) accelerator="tpu-v5-lite-podslice" ;;
  v5p) accelerator="tpu-v5p-slice" ;;
  v6e) accelerator="tpu-v6e-slice" ;;
  *) usage_error "--tpu is '$tpu', not v4, v5e, v5p or v6e" ;;
  esac
  [[ "$topology" =~ ^[1-9][0-9]*(x[1-9][0-9]*){1,2}$ ]] ||
    usage_error "--topology is '$topology', not like 16x16 or 4x4x8"
  [[ "$slices" =~ ^[1-9][0-9]*$ ]] ||
    usage_error "--slices is '$slices', not a positive number"
  for side in ${topology//x/ }; do chips=$((chips * side)); done
  # Hosts of slices that have several hold four chips each.
  ((chips < 4 || chips % 4 == 0)) ||
    usage_error "--topology is '$topology': $chips chips are not fours"
  local each=$((chips < 4 ? chips : 4))
  text="$(<"$(dirname "${BASH_SOURCE[0]}")/gke.yaml")"
  text="${text//@NAME@/"$name"}"
  text="${text//@SLICES@/"$slices"}"
  text="${text//@HOSTS@/"$((chips / each))"}"
  text="${text//@CHIPS@/"$each"}"
  text="${text//@ACCELERATOR@/"$accelerator"}"
  text="${text//@TOPOLOGY@/"$topology"}"
  text="${text//@CLAIM@/"$claim"}"
  text="${text//@CRASHES@/"$limit"}"
  text="${text//@IMAGE@/"$image"}"
  printf '%s\n' "${text//@ARGS@/"$(json "${flags[@]}")"}"
}

case "$action" in
start)
  [[ -n "$image" ]] || usage_error "needs --image"
  [[ " ${flags[*]} " == *" --config="* && " ${flags[*]} " == *" --workdir="* ]] ||
    usage_error "needs -- --config=RECIPE --workdir=/runs/NAME"
  # It would lie in the image, and be gone when the run is started again.
  [[ " ${flags[*]}" != *" --workdir="[!/]* ]] ||
    usage_error "needs a --workdir that begins with /"
  yaml="$(filled_in)"
  if [[ -n "$dry" ]]; then
    printf '%s\n' "$yaml"
  else
    kubectl apply -f - <<<"$yaml"
  fi
  ;;
tail)
  selector="jobset.sigs.k8s.io/jobset-name=$name,jobset.sigs.k8s.io/job-index=0"
  selector+=",batch.kubernetes.io/job-completion-index=0"
  call kubectl logs --follow --tail=-1 --selector="$selector"
  ;;
stop) call kubectl delete jobset "$name" ;;
esac
