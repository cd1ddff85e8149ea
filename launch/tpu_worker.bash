# shellcheck shell=bash disable=SC2034,SC2154  # they are used, and set, there
# For tpu_pod.sh: what it has a worker do, with $grace as there.
#
# Files of a worker's home: jmim.log, jmim.pid (of the run), jmim.exit. What is
# asked is answered by a line "jmim ...": no exit code tells a worker's from one
# of gcloud, which ends with 1 where it does not reach the worker.

# shellcheck disable=SC2016  # the worker's shell expands them
readonly ALIVE='pid="$(cat jmim.pid 2>/dev/null)" &&
    grep -q jmim.main "/proc/$pid/cmdline" 2>/dev/null'
# shellcheck disable=SC2016
readonly FOLLOW='tail -n +1 --pid="$(cat jmim.pid)" -F jmim.log' \
  STATE="if $ALIVE; then echo jmim alive
    elif [ -s jmim.exit ]; then echo jmim ended \$(cat jmim.exit)
    else echo jmim gone; fi" \
  BEGIN='rm -f jmim.exit jmim.pid; cd jmim' \
  BEGUN='until [ -s ../jmim.pid ]; do sleep 0.1; done'
# A worker that was started anew left no jmim.exit.
readonly ENDED="n=0; until [ -s jmim.exit ] || { $ALIVE; } || [ \$n -ge 100 ]; do
      n=\$((n + 1)); sleep 0.1
    done; $STATE"
readonly STOP="$ALIVE && kill -TERM \"\$pid\"" \
  END="if $ALIVE; then kill -TERM \"\$pid\"; n=0
      while [ \$n -lt $grace ] && $ALIVE; do sleep 1; n=\$((n + 1)); done
      if $ALIVE; then kill -9 \"\$pid\"; fi
    fi" \
  IDLE="if $ALIVE; then exit 1; fi"
