#!/bin/sh
# Runs a command on a kernel that speaks SCTP, and ends with its status.
#
#   uml.sh [-m MEM] [-t TAP -i CIDR] -- COMMAND [ARGUMENT ...]
#
# User-Mode Linux (Debian package user-mode-linux) is booted as an ordinary process. Its root is this machine's
# file system, so our binaries and the checkout run in it as they are, with the rights of whoever calls this.
# It has no network but its own loopback, or also vec0 = CIDR on the tap device TAP of the caller's namespace.
# The same file is the first process inside: there it finds its work in the environment.
set -eu

guest() {
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t tmpfs run /run
    mount -t devtmpfs dev /dev 2>/dev/null || true
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    # Files that come and go need not pass through to the machine's disk.
    export TMPDIR=/dev/shm
    # The modules do not lie where modprobe looks, and the machine's /lib is not ours to change.
    mkdir -p /run/uml/lib/modules
    ln -s "/usr/lib/uml/modules/$(uname -r)" /run/uml/lib/modules/
    printf '#!/bin/sh\nexec modprobe -d /run/uml "$@"\n' >/run/uml/modprobe
    chmod +x /run/uml/modprobe
    echo /run/uml/modprobe >/proc/sys/kernel/modprobe
    ip link set lo up
    # Without the first two the kernel cannot sign its cookies, and listening fails.
    modprobe -d /run/uml -a hmac sha1_generic sctp tun veth
    if [ -n "${uml_ip:-}" ]; then
        ip link set vec0 up
        ip addr add "$uml_ip" dev vec0
    fi
    status=0
    sh "$uml_work/command" || status=$?
    echo "$status" >"$uml_work/status"
    sync
    busybox poweroff -f
}

if [ -n "${uml_work:-}" ] && [ $$ -eq 1 ]; then
    guest
fi

memory=512M tap= ip=
while [ $# -gt 0 ]; do
    case $1 in
    -m) memory=$2 && shift 2 ;;
    -t) tap=$2 && shift 2 ;;
    -i) ip=$2 && shift 2 ;;
    --) shift && break ;;
    *) echo "uml.sh: what is $1?" >&2 && exit 2 ;;
    esac
done
self=$(readlink -f "$0")
# Not below /tmp: inside, that is another one.
work=$(mktemp -d "${UML_WORK:-/var/tmp}/uml.XXXXXX")
trap 'rm -rf "$work"' EXIT
quoted=
for word; do
    quoted="$quoted '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done
# Environment and place of the caller, then the command.
{
    export -p | grep -E '^(export|declare -x) (SEKISHO_|RUST_|LANG|LC_)' || true
    printf "cd '%s' && exec %s\n" "$PWD" "$quoted"
} >"$work/command"
net=
[ -z "$tap" ] || net="vec0:transport=tap,ifname=$tap,depth=128,gro=1"
TMPDIR=/dev/shm linux.uml "mem=$memory" root=/dev/root rootfstype=hostfs rootflags=/ rw "init=$self" \
    con=null con0=fd:0,fd:1 quiet loglevel=1 "uml_work=$work" ${ip:+"uml_ip=$ip"} ${net:+"$net"} </dev/null |
    sed -u '/^reboot: System halted/d'
exit "$(cat "$work/status" 2>/dev/null || echo 255)"
