#!/bin/bash
# The guest's init: mounts, modules, network, udev, iscsid; then it reaps while the agent works.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for folder in /run /tmp /dev/shm /var/lib/iscsi; do mount -t tmpfs tmpfs "$folder"; done
mkdir -p /run/lock/iscsi /run/udev
modprobe -a virtio_net virtio_console iscsi_tcp sd_mod sg dm_multipath

# Addresses 127.0.1.x are the host's loopback, as seen from here too: so what a target that listens
# there says of its addresses is true for this initiator.
sysctl -qw net.ipv4.conf.all.route_localnet=1
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route del local 127.0.0.0/8 table local
ip route add 127.0.1.0/24 via 10.0.2.2

/lib/systemd/systemd-udevd --daemon
udevadm trigger
udevadm settle
iscsid
python3 /agent.py /dev/vport*p1 &
while :; do wait -n || sleep 3600; done
