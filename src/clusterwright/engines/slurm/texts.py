"""The fixed parts of the scripts that run on the nodes; `render` puts the order's own lines before.

Plain POSIX sh: a node need not have anything else of ours. What each part relies on stands in it.
"""

from typing import Final

BATCH_START: Final = r"""
me=job-$SLURM_JOB_ID
warned= closer= timer= reason=done

write() { # NAME WORDS: whole, or not at all
    printf '%s\n' "$2" >"$dir/$1.new" && mv "$dir/$1.new" "$dir/$1"
    : >"$changed"
}
close() { # SIGNAL GRACE: warning, grace, TERM, time, KILL
    [ -z "$1" ] || warn "$1"
    (
        sleep "$2"
        tell TERM
        sleep "$kill_after"
        tell KILL
    ) &
    closer=$!
}
warn() { # SIGNAL: once
    [ -n "$warned" ] && return
    warned=yes
    tell_warning "$1"
}
on_stop() {
    [ -n "$closer" ] && return
    reason=stopped
    read -r how wait_s asked <"$dir/stop" || return
    [ "$how" = - ] && how=
    close "$how" "$wait_s"
}
on_limit() {
    [ -n "$closer" ] && return
    : >"$dir/limit"
    reason=timeout
    close '' 0
}
trap on_stop USR2
trap 'warn "$signal"' USR1
trap on_limit ALRM
trap '[ "$reason" != done ] || reason=killed' TERM

# Whoever makes the claim starts the attempt, once and for all: a second submission of the same
# order, or one whose attempt has been fenced, finds it made.
ln -s "$me" "$dir/claim" 2>/dev/null
held=$(readlink "$dir/claim")
if [ -z "$held" ]; then
    echo "clusterwright: $dir cannot be written on $(hostname)" >&2
    exit 125
fi
if [ "$held" != "$me" ]; then
    echo "clusterwright: attempt $attempt belongs to $held" >&2
    exit 0
fi
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -z "$requeue" ]; then
    echo "clusterwright: attempt $attempt does not start again; its next attempt does" >&2
    exit 0
fi
if [ -f "$dir/stop" ]; then
    write end "0 stopped $(date +%s)"
    exit 0
fi
rm -rf "$dir/end" "$dir/limit" "$dir/not_started" "$dir/ranks" # of a start before this one
mkdir "$dir/ranks"
: >"$changed"
if [ -f "$dir/secrets" ]; then
    . "$dir/secrets"
    rm -f "$dir/secrets"
fi
[ -n "$nodes" ] || nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | paste -s -d, -)
write placed "$nodes"
export CLUSTERWRIGHT_NODE_LIST="$nodes" CLUSTERWRIGHT_NUM_NODES="$SLURM_JOB_NUM_NODES"
export MASTER_ADDR="${address:-${nodes%%,*}}"
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 12000))
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -n "$checkpoints" ]; then
    # Slurm has queued it again by itself: the newest checkpoint is not the one of the order.
    newest=-1
    for marker in "$checkpoints"/*/complete.json; do
        [ -f "$marker" ] || continue
        step=$(sed -n 's/.*"step": *\([0-9][0-9]*\).*/\1/p' "$marker")
        [ "${step:--1}" -gt "$newest" ] || continue
        newest=$step
        export CLUSTERWRIGHT_NEWEST="${marker%/complete.json}"
    done
fi
if [ -n "$limit" ]; then
    (
        sleep "$limit"
        kill -USR1 $$
        sleep "$grace"
        kill -ALRM $$
    ) &
    timer=$!
fi
"""

BATCH_TASKS: Final = r"""
tell() { # SIGNAL: to every task; srun hands on what is no reason for it to end by itself
    scancel --signal="$1" "$SLURM_JOB_ID.0" || [ "$1" != KILL ] || kill -KILL "$child"
}
tell_warning() {
    case $1 in
    USR1 | USR2) kill -"$1" "$child" ;; # without asking slurmctld
    *) tell "$1" ;;
    esac
}
srun SRUN_OPTIONS --kill-on-bad-exit=1 --input=none \
    /bin/sh "$dir/rank.sh" &
child=$!
"""

BATCH_SCRIPT: Final = r"""
tell() { # SIGNAL: to the script and all it has started
    scancel --signal="$1" "$SLURM_JOB_ID" 2>/dev/null
    kill -"$1" -- -"$child"
}
tell_warning() { # as sbatch --signal: the steps, or the script with B:
    if [ -n "$warn_script" ]; then kill -"$1" "$child"; else
        scancel --signal="$1" "$SLURM_JOB_ID"
    fi
}
setsid /bin/sh "$dir/rank.sh" &
child=$!
"""

BATCH_END: Final = r"""
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break # else a signal has interrupted the wait alone
done
kill $timer $closer 2>/dev/null
[ -f "$dir/limit" ] && [ "$reason" = killed ] && reason=timeout
write end "$code $reason $(date +%s)"
exit "$code"
"""

RANK_START: Final = r"""
node_rank=$SLURM_NODEID
at=0
IFS=,
for node in $CLUSTERWRIGHT_NODE_LIST; do
    [ "$node" = "$SLURMD_NODENAME" ] && node_rank=$at
    at=$((at + 1))
done
unset IFS
[ -z "$CLUSTERWRIGHT_NEWEST" ] || export CLUSTERWRIGHT_RESUME_FROM="$CLUSTERWRIGHT_NEWEST"
"""

RANK_DIRECT: Final = r"""
rank=$((node_rank * ranks_per_node + SLURM_LOCALID))
export RANK="$rank" LOCAL_RANK="$SLURM_LOCALID" LOCAL_WORLD_SIZE="$ranks_per_node"
export WORLD_SIZE=$((at * ranks_per_node)) NODE_RANK="$node_rank" GROUP_RANK="$node_rank"
"""

RANK_TORCHRUN: Final = r"""
rank=$node_rank
unset RANK
export PET_NNODES="$at" PET_NPROC_PER_NODE="$ranks_per_node" PET_NODE_RANK="$node_rank"
export PET_RDZV_ID="$CLUSTERWRIGHT_JOB_ID.$CLUSTERWRIGHT_ATTEMPT" PET_RDZV_BACKEND=c10d
export PET_RDZV_ENDPOINT="$MASTER_ADDR:$MASTER_PORT" PET_MAX_RESTARTS=0
"""

RANK_BATCH: Final = r"""
rank=0
export SLURM_SUBMIT_DIR="$workdir" # where its owner stood, as scripts take it for
"""

_RUN_START = r"""
fail() {
    printf '%s\n' "$1" >"$dir/not_started"
    exit 127
}
cd "$workdir" || fail "no directory $workdir on $SLURMD_NODENAME"
command -v "$1" >/dev/null || fail "no program $1 on $SLURMD_NODENAME"
"""

_RUN_END = r"""
code=$?
{
    echo "$code"
    times
} >"$dir/ranks/$rank.new" && mv "$dir/ranks/$rank.new" "$dir/ranks/$rank"
exit "$code"
"""

RANK_RUN: Final = (
    _RUN_START
    + r"""
trap : USR1 USR2 TERM INT HUP # they are for the task; this shell waits to record its exit code
"$@" >>"$dir/logs/$rank.out" 2>>"$dir/logs/$rank.err" </dev/null"""
    + _RUN_END
)

RANK_RUN_BATCH: Final = (
    _RUN_START
    + r"""
exec >>"$dir/logs/0.out" 2>>"$dir/logs/0.err" </dev/null
exec "$@"
"""
)
