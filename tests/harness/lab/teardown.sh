# Removes everything of one run: its processes (every pid in the run's own cgroups), mounts, network, files.
# All names follow from the id, so it serves a run that ends, one whose owner was killed, and one found later.
# It can be repeated. Exit 0: nothing is left; 1: what is left is on standard error.
run=$1
case $run in [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) ;; *) echo "no run: $run" >&2; exit 2 ;; esac
base=/run/agent-runner-lab/$run
groups=
for top in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -d "$top/agent-runner-lab/$run" ] && groups="$groups $top/agent-runner-lab/$run"
done

# A process of a namespace that cannot be seen from here is listed as 0.
members() { [ -z "$groups" ] || find $groups -name "$1" -prune -o -name cgroup.procs -exec cat {} + 2>/dev/null | grep -vx 0 | sort -un; }
# Signals until nobody is left: a process may just have been born. Group to leave out, signal, tries.
end() {
    tries=$3
    while pids=$(members "$1") && [ -n "$pids" ] && [ "$tries" -gt 0 ]; do
        for pid in $pids; do kill "-$2" "$pid" 2>/dev/null; done
        tries=$((tries - 1))
        sleep 0.05
    done
}

# The hosts first, at once: they are thrown away. Their nspawn gets time to tidy up after itself (0 only looks).
end supervisor KILL 40
end none 0 30
end none TERM 10
end none KILL 200

# The deepest mounts first; lazily only what somebody keeps busy.
grep " $base/" /proc/self/mounts | cut -d ' ' -f 2 | sort -r | while read -r point; do
    umount "$point" 2>/dev/null || umount -l "$point"
done
for name in /run/netns/lab-$run-*; do
    [ -e "$name" ] && ip netns del "${name##*/}"
done
# A cable goes with its namespace, but not always at once.
for link in /sys/class/net/lab-$run-* /sys/class/net/lab-$run; do
    [ -e "$link" ] && ip link del "${link##*/}" 2>/dev/null
done
for name in /run/systemd/nspawn/propagate/lab-$run-* /run/systemd/nspawn/unix-export/lab-$run-*; do
    [ -e "$name" ] && rmdir "$name"
done
for group in $groups; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    rmdir "${group%/*}" 2>/dev/null
done

left=$(
    members none | sed 's/^/process /'
    grep " $base/" /proc/self/mounts
    ls -d /run/netns/lab-$run-* /sys/class/net/lab-$run* 2>/dev/null
    for group in $groups; do [ -d "$group" ] && echo "$group"; done
)
if [ -n "$left" ]; then
    printf 'left of lab run %s:\n%s\n' "$run" "$left" >&2
    exit 1
fi
rm -rf --one-file-system "$base"
