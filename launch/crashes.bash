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

# Crashes in a row that are too many.
limit="${JMIM_CRASHES:-3}"
limit_known() { [[ "$limit" =~ ^[1-9][0-9]*$ ]]; }
readonly LIMIT_WRONG="JMIM_CRASHES is '$limit', not a positive number"

# Where each start has a script of its own, WORKDIR/crashes keeps the count: `at`,
# `crashes` and, of several hosts, the `attempt` that was counted last.
recall() { # recall WORKDIR [ATTEMPT]: reads `at`, `crashes` and `last`; '': no count
  local number='[0-9]+'
  crashes='' at='' last=''
  read -r at crashes last 2>/dev/null <"$1/crashes" || true
  [[ "$at $crashes $last" =~ ^$number\ $number\ ${2:+$number}$ ]] ||
    crashes='' at='' last=''
}

keep() { # keep WORKDIR [ATTEMPT]: writes it, whole as others may read it; 1: cannot
  local new
  new="$(mktemp "$1/crashes.XXXXXX")" || return 1
  if echo "$at $crashes${2:+ $2}" >"$new" && mv -f "$new" "$1/crashes"; then
    return
  fi
  rm -f "$new"
  return 1
}

status=''
waited() { # waited CHILD: its `status` once it has ended, whatever signals came
  status=0
  wait "$1" || status=$?
  while kill -0 "$1" 2>/dev/null; do # a signal ended `wait`, not the child
    status=0
    wait "$1" || status=$?
  done
}
