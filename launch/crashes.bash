# shellcheck shell=bash
# For the scripts beside it: which ends of a run are started again, and how often.
# The table of exit codes is in docs/faults.md.
#
#   0 done, 2 a mistake, 3 diverged   end it
#   75 asked to stop                  start it again
#   5 hosts missing, 134 the runtime  start it again; after so many such ends in a
#   gave up, 4 not saved, any other   row without a new checkpoint give up

# Whether to start again what ended with this code, whatever came before.
ends_it() { [[ "$1" == 0 || "$1" == 2 || "$1" == 3 ]]; }

newest() { # newest WORKDIR: the step of the newest checkpoint, or 0
  local path best=0
  for path in "$1"/checkpoints/*/; do
    path="$(basename "$path")"
    if [[ "$path" =~ ^[0-9]+$ ]] && ((10#$path > best)); then
      best=$((10#$path))
    fi
  done
  echo "$best"
}

crashes='' at=''
crashed() { # crashed STEP: counts one more, of those in a row at this checkpoint
  if [[ -z "$at" ]] || (($1 > at)); then crashes=0; fi
  at="$1" crashes=$((crashes + 1))
}
