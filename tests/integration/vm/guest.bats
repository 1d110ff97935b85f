#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest side in a real virtual machine: a job's life from boot to power-off.
load guest_helper

work_disk_is_clean() {
    e2fsck -fn "$vm/work.img"
    dumpe2fs -h "$vm/work.img" 2>/dev/null | grep -q '^Filesystem state: *clean$'
    ! dumpe2fs -h "$vm/work.img" 2>/dev/null | grep -q needs_recovery
}

@test "the script runs as the job's user, in its directory, with its environment and files" {
    job '.argv = ["/var/spool/slurmd/job00042/slurm_script", "a b", ""] | .groups = [1000, 2000]
         | .environment = ["PATH=/usr/bin:/bin", "NL=one\ntwo", "EMPTY=", "LANG=C.UTF-8"] | .umask = 63'
    echo staged >"$vm/files/input"
    script <<'JOB'
printf '<%s>' "$0" "$@"; echo
id; pwd; hostname; cat input; umask
tr '\0' '|' </proc/$$/environ; echo
getent hosts n1 localhost >/dev/null && echo resolved
echo through the link >/dev/stderr
[ -t 0 ] || cat | wc -c
[ "$(ps -o sid= -p $$ | tr -d ' ')" = $$ ] && echo own session
ls -d /dev/fd /dev/stdin /dev/stdout /dev/pts /dev/shm
touch /dev/shm/x /tmp/x ~root/x 2>/dev/null || echo not root
exit 7
JOB
    run "$boot" "$vm"
    [ "$status" -eq 0 ]
    diff "$vm/stdout" - <<'EXPECTED'
</var/spool/slurmd/job00042/slurm_script><a b><>
uid=1000(u) gid=1000(ug) groups=1000(ug),2000(g2000)
/home/u/dir
n1
staged
0077
PATH=/usr/bin:/bin|NL=one
two|EMPTY=|LANG=C.UTF-8|
resolved
0
own session
/dev/fd
/dev/pts
/dev/shm
/dev/stdin
/dev/stdout
not root
EXPECTED
    [ "$(cat "$vm/stderr")" = "through the link" ]
    [ "$(sed -n 1p "$vm/control")" = '{"event":"booted"}' ]
    sed -n 2p "$vm/control" | jq -e '.event == "started" and .pid > 1'
    [ "$(last_event)" = '{"event":"exit","code":7}' ]
    work_disk_is_clean
}

@test "output is exact to the byte, both streams, and merged in the order written" {
    script <<'JOB'
for ((i = 0; i < 20000; i++)); do echo "out $i of the stream"; echo "err $i" >&2; done
head -c 300000 /dev/zero | tr '\0' '\377'
printf 'no newline at the end'
JOB
    run "$boot" "$vm"
    [ "$status" -eq 0 ]
    { for ((i = 0; i < 20000; i++)); do echo "out $i of the stream"; done
      head -c 300000 /dev/zero | tr '\0' '\377'; printf 'no newline at the end'; } | cmp - "$vm/stdout"
    for ((i = 0; i < 20000; i++)); do echo "err $i"; done | cmp - "$vm/stderr"
    [ "$(last_event)" = '{"event":"exit","code":0}' ]

    rm -f "$vm"/{stdout,stderr,control,job.cpio,root.qcow2,work.img}
    job '.merge_output = true'
    run "$boot" "$vm"
    [ "$status" -eq 0 ]
    { for ((i = 0; i < 20000; i++)); do echo "out $i of the stream"; echo "err $i"; done
      head -c 300000 /dev/zero | tr '\0' '\377'; printf 'no newline at the end'; } | cmp - "$vm/stdout"
    [ ! -s "$vm/stderr" ]
}

@test "a script ended by a signal is reported as that" {
    script <<'JOB'
kill -SEGV $$
JOB
    run "$boot" "$vm"
    [ "$status" -eq 0 ]
    [ "$(last_event)" = '{"event":"exit","signal":11}' ]
}

@test "signals reach the session or the script alone; noise on the command port does nothing" {
    script <<'JOB'
trap 'echo script USR1' USR1
trap 'echo script TERM; exit 3' TERM
bash -c 'trap "echo child TERM; exit" TERM; while :; do sleep 0.1; done' &
echo ready
while :; do sleep 0.1; done
JOB
    start_guest
    wait_for_event started
    until grep -q ready "$vm/stdout"; do sleep 0.1; done
    sleep 1
    head -c 300000 /dev/urandom | socat -t1 - "UNIX-CONNECT:$vm/command.sock"
    command_port '' '{"command":"halt"}' '{"command":"signal"}' '{"command":"signal","number":900}' '[[[[' \
        '{"command":"signal","number":10,"to":"script"}'
    for ((i = 0; i < 100; i++)); do grep -q USR1 "$vm/stdout" && break; sleep 0.1; done
    command_port '{"command":"signal","number":15}'
    wait "$guest"
    [ "$(last_event)" = '{"event":"exit","code":3}' ]
    [ "$(sort "$vm/stdout")" = "$(printf '%s\n' 'child TERM' ready 'script TERM' 'script USR1')" ]
}

@test "what outlives the script may finish its output, then it is ended" {
    script <<'JOB'
exec > >(sleep 1; cat; echo the filter has ended)
setsid sleep 1000 &
setsid bash -c 'trap "" TERM; while :; do sleep 1; done' &
echo from the script
exit 5
JOB
    SECONDS=0
    run "$boot" "$vm"
    [ "$status" -eq 0 ]
    [ "$SECONDS" -lt 40 ]
    [ "$(head -n1 "$vm/stdout")" = "from the script" ]
    [ "$(last_event)" = '{"event":"exit","code":5}' ]
    work_disk_is_clean
}

@test "files go in and come back; what was not touched stays; bytes that are not text survive" {
    local cwd=$BATS_TEST_TMPDIR/cwd
    mkdir -p "$cwd/sub dir"
    echo old >"$cwd/changed"
    echo same >"$cwd/sub dir/same"
    head -c 3000000 /dev/urandom >"$cwd/input"
    echo "live output" >"$cwd/slurm-1.out"
    script <<'JOB'
sha256sum input >sums
echo new >changed
mkdir -p results/deep && cp -p input results/deep/copy && chmod 640 results/deep/copy
ln -s deep/copy results/link
mv "sub dir" moved
truncate -s 1M sparse
echo overwritten >slurm-1.out
printf %s "$LATIN" | od -An -tx1
JOB
    run "$helper" make "$vm/work.img" 256 "$cwd" 1000 1000
    [ "$output" = "files 4 bytes $((3000000 + 4 + 5 + 12))" ]
    "$helper" cpio "$vm/job.cpio" "$vm/script" "$cwd" 1000 PATH=/usr/bin:/bin $'LATIN=\xe9t\xe9'
    run "$boot" "$vm"
    [ "$status" -eq 0 ]
    [ "$(last_event)" = '{"event":"exit","code":0}' ]
    [ "$(cat "$vm/stdout")" = " e9 74 e9" ]
    work_disk_is_clean
    echo "changed on the host" >"$cwd/input.keep"
    run "$helper" back "$vm/work.img" "$cwd" slurm-1.out
    [ "$status" -eq 0 ]
    [ "$output" = "files 6 unchanged 1" ]
    [ "$(cat "$cwd/changed")" = new ]
    [ "$(cat "$cwd/moved/same")" = same ]
    [ "$(cat "$cwd/sub dir/same")" = same ]
    [ "$(cat "$cwd/slurm-1.out")" = "live output" ]
    cmp "$cwd/input" "$cwd/results/deep/copy"
    [ "$(stat -c %a "$cwd/results/deep/copy")" = 640 ]
    [ "$(readlink "$cwd/results/link")" = deep/copy ]
    [ "$(stat -c %s "$cwd/sparse")" = 1048576 ]
    (cd "$cwd" && sha256sum -c sums)
}

@test "files of a job that was killed are read back after repair" {
    local cwd=$BATS_TEST_TMPDIR/cwd
    mkdir -p "$cwd"
    script <<'JOB'
echo result >result; sync; echo ready
sleep 1000
JOB
    "$helper" make "$vm/work.img" 256 "$cwd" 1000 1000
    job '.'
    start_guest -pidfile "$vm/qemu.pid"
    wait_for_event started
    until grep -q ready "$vm/stdout"; do sleep 0.1; done
    kill -9 "$(cat "$vm/qemu.pid")"
    wait "$guest" || true
    run "$helper" back "$vm/work.img" "$cwd"
    [ "$status" -eq 0 ]
    [ "$output" = "files 1 unchanged 0" ]
    [ "$(cat "$cwd/result")" = result ]
    [ ! -e "$vm/work.img.repaired" ]
}

@test "/tmp on the work disk leaves nothing behind" {
    job '.tmp_on_work = true'
    script <<'JOB'
df --output=source /tmp . | tail -n2 | uniq | wc -l
stat -c %a /tmp; mkdir /tmp/d && echo x >/tmp/d/f
JOB
    run "$boot" "$vm"
    [ "$(cat "$vm/stdout")" = $'1\n1777' ]
    [ "$(debugfs -R 'ls -p /' "$vm/work.img" 2>/dev/null | grep -c tlc-tmp)" -eq 0 ]
    work_disk_is_clean
}

@test "the clock catches up after the machine stood still" {
    script <<'JOB'
began=$(date +%s)
echo ready
for ((i = 0; i < 80; i++)); do sleep 0.1; done
echo $(($(date +%s) - began))
JOB
    start_guest -qmp "unix:$vm/qmp.sock,server=on,wait=off"
    wait_for_event started
    until grep -q ready "$vm/stdout"; do sleep 0.1; done
    printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"stop"}' | socat -t1 - "UNIX-CONNECT:$vm/qmp.sock"
    sleep 20
    printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"cont"}' | socat -t1 - "UNIX-CONNECT:$vm/qmp.sock"
    wait "$guest"
    [ "$(tail -n1 "$vm/stdout")" -ge 25 ]
}

@test "heartbeats come every ten seconds" {
    script <<'JOB'
sleep 22
JOB
    run "$boot" "$vm"
    [ "$(jq -c 'select(.event == "heartbeat") | .seconds' "$vm/control" | tr '\n' ' ')" = "10 20 " ]
}

@test "what is wrong is said, then the machine powers off" {
    script <<'JOB'
JOB
    expect_error() {
        run "$boot" "$vm"
        [ "$status" -eq 0 ]
        last_event | jq -e --arg text "$1" '.event == "error" and (.message | contains($text))'
        [ "$(grep -c '"exit"' "$vm/control")" = 0 ]
        rm -f "$vm"/{stdout,stderr,control,console,job.cpio,root.qcow2,work.img}
    }
    printf '#!/no/such/interpreter\n' >"$vm/script"
    expect_error "interpreter named in the job script's first line is not in the image"
    printf 'echo no first line\n' >"$vm/script"
    expect_error "does not start with #!"
    job '.cwd = "/usr"'
    expect_error "cannot be '/usr' inside a virtual machine"
    BOOT_JOB_CPIO=no expect_error "/job/job.json"
    echo no >"$vm/script"
    job '.'
    truncate -s 16M "$vm/work.img"
    expect_error "mounting /dev/vdb at /home/u/dir"
}

@test "MPI programs run with as many processes as asked for" {
    [ -n "${TLC_MPI_IMAGE:-}" ] || skip "TLC_MPI_IMAGE (an image with lammps and openmpi-bin) is not set"
    # In a Slurm job Open MPI reads the allocation from the environment.
    job '.environment += ["SLURM_JOB_ID=7", "SLURM_JOBID=7", "SLURM_NNODES=1", "SLURM_JOB_NUM_NODES=1", "SLURM_NODELIST=n1",
         "SLURM_JOB_NODELIST=n1", "SLURM_TASKS_PER_NODE=2", "SLURM_JOB_CPUS_PER_NODE=2", "SLURM_NTASKS=2"]'
    script <<'JOB'
cat >in.lj <<'LJ'
units lj
atom_style atomic
lattice fcc 0.8442
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 3.0 87287
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0 2.5
fix 1 all nve
run 20
LJ
mpirun -np 4 lmp -in in.lj
JOB
    TLC_IMAGE=$TLC_MPI_IMAGE BOOT_MEMORY=1024 BOOT_SECONDS=300 run "$boot" "$vm"
    [ "$(last_event)" = '{"event":"exit","code":0}' ]
    grep -q 'Loop time of .* on 4 procs for 20 steps with 256 atoms' "$vm/stdout"
    [ ! -s "$vm/stderr" ]
}
