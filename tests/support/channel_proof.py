#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves the QEMU patch alone, with channel_peer.py as the engine.

Usage: channel_proof.py QEMU [accel]    (QEMU: the patched qemu-system-x86_64)
Each proof prints "ok NAME" or "not ok NAME: why"; the exit code is 1 if one failed.
"""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import channel_peer as peer
from channel_vm import (Failed, Tools, Vm, check, counters, one_moment, ram_now, refused)


def proof_save_load_save(tools):
    """Save; go on; kill; load elsewhere; memory equal; goes on; save again, load again."""
    paused = {}

    def remember(hello, memory):
        for block in hello.blocks:
            paused[block.id] = memory.read_present(block.host, block.used)

    with Vm(tools) as vm:
        vm.wait_passes(50)
        _, image, faults = vm.save(remember)
        check(image.was_running and vm.state() == "running", "the VM does not run after the save")
        for name, data in paused.items():
            check(bytes(image.blocks[name]) == data, f"the image of {name} is not the paused VM's")
        check(one_moment(counters(image.blocks["pc.ram"])), "the image mixes two moments")
        check(faults > 0, "nothing was written while pages were copied")
        vm.wait_passes(20)
    for generation in range(3):
        before = counters(image.blocks["pc.ram"])
        with Vm(tools, incoming=True) as vm:
            def compare(hello):
                check(vm.state() == "paused", f"the loaded VM is '{vm.state()}', not paused")
                memory = peer.Memory(hello.pid)
                for block in hello.blocks:
                    check(memory.read(block.host, block.used) == bytes(image.blocks[block.id]),
                          f"{block.id} differs after the load")
                memory.close()
            ready = vm.load(image, compare)
            check(vm.state() == "running", "the loaded VM does not run")
            vm.wait_passes(20)
            now = counters(ram_now(ready))
            check(min(now) > before[0] + 10, "the counters do not go on")
            _, image, _ = vm.save()
            check(one_moment(counters(image.blocks["pc.ram"])), f"image {generation + 2} mixes moments")
            check(counters(image.blocks["pc.ram"])[-1] >= now[-1], "counters went back")
            vm.wait_passes(5)


def proof_save_twenty_times(tools):
    """Saves in a row leave nothing behind."""
    with Vm(tools) as vm:
        vm.wait_passes(5)
        pauses = []
        for _ in range(20):
            _, image, _ = vm.save()
            check(one_moment(counters(image.blocks["pc.ram"])), "an image mixes two moments")
            pauses.append(image.pause_ns)
        vm.wait_passes(5)
        print(f"# pause begins to device state saved: median {sorted(pauses)[10] / 1e6:.2f} ms,"
              f" longest {max(pauses) / 1e6:.2f} ms")
        left = os.listdir(f"/proc/{vm.process.pid}/fd")
        kinds = [os.readlink(f"/proc/{vm.process.pid}/fd/{fd}") for fd in left]
        check(not [kind for kind in kinds if "userfaultfd" in kind or "tlc-device" in kind],
              "QEMU kept a userfaultfd or a memfd")


def proof_paused_vm(tools):
    """A VM that its owner paused is saved and loaded paused."""
    with Vm(tools) as vm:
        vm.wait_passes(5)
        vm.qmp.command("stop")
        _, image, _ = vm.save()
        check(not image.was_running and vm.state() == "paused", "the VM is not paused after the save")
        vm.qmp.command("cont")
        vm.wait_passes(5)
    with Vm(tools, incoming=True) as vm:
        vm.load(image)
        check(vm.state() == "paused", "the VM is not paused after the load")
        vm.qmp.command("cont")
        vm.wait_passes(5)


def proof_peer_gone(tools):
    """The engine's end at each point of a save leaves a running VM."""
    with Vm(tools) as vm:
        vm.wait_passes(5)
        channel = vm.begin("x-tlc-save")
        channel.expect(peer.HELLO)
        channel.close()
        check("error" in vm.wait_tlc("none"), "no error after HELLO")
        vm.wait_passes(5)

        channel = vm.begin("x-tlc-save")
        channel.expect(peer.HELLO)
        channel.send(peer.PAUSE)
        _, fds = channel.expect(peer.PAUSED)
        check(vm.state() == "finish-migrate", f"the paused VM is '{vm.state()}'")
        refused(lambda: vm.qmp.command("cont"), "not finalized")
        for fd in fds:
            os.close(fd)
        channel.close()
        check("error" in vm.wait_tlc("none"), "no error after PAUSED")
        check(vm.state() == "running", "the VM does not run after the engine left it paused")
        vm.wait_passes(5)

        channel = vm.begin("x-tlc-save")
        channel.expect(peer.HELLO)
        channel.send(peer.PAUSE)
        _, fds = channel.expect(peer.PAUSED)
        channel.send(peer.RESUME)
        channel.expect(peer.RESUMED)
        for fd in fds:
            os.close(fd)
        channel.close()
        vm.wait_tlc("none")
        vm.wait_passes(5)
        vm.save()


def proof_dirty_log(tools):
    """The log has every page that was written, and nearly no other."""
    with Vm(tools) as vm:
        vm.wait_passes(5)
        channel = vm.begin("x-tlc-save")
        hello = peer.Hello(channel.expect(peer.HELLO)[0])
        log = peer.DirtyLog(channel, hello)
        log.sync(hold=True)
        check(vm.state() == "finish-migrate", f"the held VM is '{vm.state()}'")
        for round in range(2):
            before = ram_now(hello)
            log.release()
            vm.wait_passes(3)
            partly = log.sync() if round == 1 else {}
            dirty = log.sync(hold=True)
            after = ram_now(hello)
            pages = dirty["pc.ram"] | partly.get("pc.ram", set())
            changed = {at // peer.PAGE for at in range(0, len(before), peer.PAGE)
                       if before[at:at + peer.PAGE] != after[at:at + peer.PAGE]}
            print(f"# {len(changed)} pages changed, {len(pages)} in the log")
            check(len(changed) >= 16384, "the guest has not written all of its pages")
            check(changed <= pages, f"{len(changed - pages)} changed pages are not in the log")
            check(len(pages) <= len(changed) + 256, "the log has many pages that did not change")
        log.release()
        log.sync(hold=True)
        # Stopped already: the pause needs no second stop, and its own sync finds nothing.
        channel.send(peer.PAUSE)
        _, (memfd,) = channel.expect(peer.PAUSED)
        os.close(memfd)
        check(not any(log.map[:]), "pages are dirty although the VM stood still")
        channel.send(peer.RESUME)
        channel.expect(peer.RESUMED)
        channel.close()
        vm.wait_tlc("none")
        check(vm.state() == "running", "the VM does not run after the save")
        vm.wait_passes(5)
        vm.save()


def proof_dirty_log_gone(tools):
    """An engine that goes while it holds the VM leaves it running, and the log is off."""
    with Vm(tools) as vm:
        vm.wait_passes(5)
        for hold in (False, True):
            channel = vm.begin("x-tlc-save")
            log = peer.DirtyLog(channel, peer.Hello(channel.expect(peer.HELLO)[0]))
            log.sync(hold)
            channel.close()
            check("error" in vm.wait_tlc("none"), "no error after the engine has gone")
            check(vm.state() == "running", "the VM does not run after the engine held it")
            vm.wait_passes(5)
        for again in (peer.TRACK, peer.SYNC):
            channel = vm.begin("x-tlc-save")
            log = peer.DirtyLog(channel, peer.Hello(channel.expect(peer.HELLO)[0]))
            log.sync(hold=True)
            channel.send(again, bytes(8))
            refused(channel.receive, "not allowed")
            channel.close()
            vm.wait_tlc("none")
            vm.wait_passes(5)
        vm.qmp.command("stop")
        vm.qmp.command("migrate", uri=f"file:{vm.base}.migration")
        end = time.monotonic() + 60
        while vm.qmp.command("query-migrate")["status"] not in ("completed", "failed"):
            check(time.monotonic() < end, "a migration after the log does not end")
            time.sleep(0.1)
        check(vm.qmp.command("query-migrate")["status"] == "completed", "a migration after the log fails")


def proof_peer_killed(tools):
    """A kill -9 of an engine process that holds the userfaultfd frees the VM."""
    for resume in (False, True):
        with Vm(tools) as vm:
            vm.wait_passes(5)
            path = f"{vm.base}.kill.sock"
            pipe_read, pipe_write = os.pipe()
            child = os.fork()
            if child == 0:
                listener = peer.Listener(path)
                os.write(pipe_write, b"l")
                channel = listener.accept()
                hello = peer.Hello(channel.expect(peer.HELLO)[0])
                channel.send(peer.ARM)
                uffd = channel.expect(peer.ARMED)[1][0]
                channel.send(peer.PAUSE)
                channel.expect(peer.PAUSED)
                for block in hello.blocks:
                    if block.protectable:
                        peer.write_protect(uffd, block.host, block.used, 1)
                if resume:
                    channel.send(peer.RESUME)
                os.write(pipe_write, b"p")
                time.sleep(60)
                os._exit(0)
            os.read(pipe_read, 1)
            vm.qmp.command("x-tlc-save", channel=path)
            os.read(pipe_read, 1)
            time.sleep(0.3)
            stuck = vm.passes()
            time.sleep(0.3)
            check(vm.passes() == stuck, "the guest ran although nobody serves its faults")
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            vm.wait_passes(20)
            vm.wait_tlc("none")
            check(vm.state() == "running", "the VM does not run")
            os.close(pipe_read)
            os.close(pipe_write)


def proof_refusals(tools):
    """What must be refused is refused, with nothing changed."""
    with Vm(tools) as vm:
        vm.wait_passes(5)
        refused(lambda: vm.qmp.command("x-tlc-save", channel="/nowhere/x.sock"), "/nowhere/x.sock")
        refused(lambda: vm.qmp.command("x-tlc-save", channel="/" + "x" * 200), "longer")
        refused(lambda: vm.begin("x-tlc-load"), "-incoming defer")
        channel = vm.begin("x-tlc-save")
        refused(lambda: vm.begin("x-tlc-save"), "already being saved")
        refused(lambda: vm.qmp.command("migrate", uri=f"file:{vm.base}.mig"), "checkpoint")
        channel.close()
        vm.wait_tlc("none")
        check(not [e for e in vm.qmp.events if e["event"] == "STOP"], "the VM was paused")
        vm.save()
    with Vm(tools, incoming=True) as vm:
        refused(lambda: vm.begin("x-tlc-save"), "inmigrate")
        channel = vm.begin("x-tlc-load")
        refused(lambda: vm.begin("x-tlc-load"), "already being loaded")
        refused(lambda: vm.qmp.command("migrate-incoming", uri="tcp:127.0.0.1:0"), "being loaded")
        channel.close()
        vm.wait_tlc("none")


def proof_blockers(tools):
    """A device that cannot be saved is named and the VM is never paused."""
    shared = f"{tools.directory}/shm"
    cases = [
        (["-object", f"memory-backend-file,id=s,mem-path={shared},size=1M,share=on",
          "-device", "ivshmem-plain,memdev=s"], "ivshmem"),
        (["-object", "memory-backend-memfd,id=m,size=128M,share=on", "-machine", "memory-backend=m"],
         "share=off"),
        (["-object", f"memory-backend-file,id=m,mem-path={shared}2,size=128M,share=off",
          "-machine", "memory-backend=m"], "file"),
    ]
    seen = 0
    for extra, word in cases:
        try:
            vm = Vm(tools, *extra)
        except (OSError, peer.PeerError) as error:
            print(f"# {extra[1]}: skipped, this QEMU does not start with it ({error})")
            continue
        with vm:
            vm.wait_passes(5)
            print("#", refused(lambda: vm.begin("x-tlc-save"), word))
            check(not [e for e in vm.qmp.events if e["event"] == "STOP"], "the VM was paused")
            check(vm.state() == "running", "the VM does not run")
            vm.wait_passes(5)
            seen += 1
    check(seen >= 2, "too few kinds of blocker could be tried")


def proof_bad_messages(tools):
    """A peer that breaks the protocol is told so, and the VM runs on."""
    bad = [
        dict(kind=peer.PAUSE, magic=1),
        dict(kind=peer.PAUSE, version=1),
        dict(kind=99),
        dict(kind=peer.PAUSE, payload=b"xx"),
        dict(kind=peer.ERROR, length=1 << 30),
        dict(kind=peer.RESUME),
        dict(kind=peer.RELEASE),
        dict(kind=peer.TRACK, payload=b"shrt"),
        dict(kind=peer.SYNC, payload=bytes(8)),
        dict(kind=peer.ARMED),
        dict(kind=peer.LOAD_BEGIN, payload=struct.pack("<II", 0, 0)),
        dict(kind=peer.PAUSE, fds=[0]),
        dict(kind=peer.ERROR, payload=b"no space left"),
    ]
    with Vm(tools) as vm:
        vm.wait_passes(5)
        for message in bad:
            channel = vm.begin("x-tlc-save")
            channel.expect(peer.HELLO)
            channel.send(**message)
            refused(channel.receive)
            channel.close()
            info = vm.wait_tlc("none")
            check(info.get("error"), f"query-tlc tells no error after {message}")
        check(not [e for e in vm.qmp.events if e["event"] == "STOP"], "the VM was paused")
        vm.save()
        vm.wait_passes(5)


def proof_bad_loads(tools):
    """A load that fails never lets the VM run; a good one after it works."""
    with Vm(tools) as vm:
        vm.wait_passes(10)
        _, image, _ = vm.save()

    def attempt(vm, payload, devices, length=None, fds=None):
        channel = vm.begin("x-tlc-load")
        channel.expect(peer.HELLO)
        channel.send(peer.LOAD_BEGIN, payload)
        channel.expect(peer.READY)
        fd = peer.device_file(devices)
        channel.send(peer.LOAD_DEVICES, struct.pack("<Q", len(devices) if length is None else length),
                     [fd] if fds is None else fds)
        os.close(fd)
        channel.expect(peer.LOADED)

    good = peer.load_begin(image)
    first = peer.LOAD_BLOCK.size + 8
    other = peer.Image()
    other.blocks = {name: data[:4096] if name == "pc.ram" else data for name, data in image.blocks.items()}
    with Vm(tools, incoming=True) as vm:
        print("#", refused(lambda: attempt(vm, good[:8], b""), "wrong length"))
        refused(lambda: attempt(vm, struct.pack("<II", 1, 0) + good[8:first], b""), "RAM blocks")
        refused(lambda: attempt(vm, good[:8] + b"x" + good[9:], b""), "not in this VM")
        refused(lambda: attempt(vm, good[:8] + good[8:first] * len(image.blocks), b""), "twice")
        print("#", refused(lambda: attempt(vm, peer.load_begin(other), b""), "it was saved with"))
        refused(lambda: attempt(vm, good, b"", 77), "77")
        refused(lambda: attempt(vm, good, b"garbage in a file"), "not saved by QEMU")
        refused(lambda: attempt(vm, good, image.devices, fds=[]), "without")
        refused(lambda: attempt(vm, good, image.devices[: len(image.devices) // 2]), "could not be loaded")
        check(vm.state() == "inmigrate", f"after failed loads the VM is '{vm.state()}'")
        vm.qmp.command("cont")
        time.sleep(0.3)
        check(vm.passes() == 0, "a VM ran after a failed load")
        vm.load(image)
        vm.wait_passes(10)
        vm.save()
    with Vm(tools, "-device", "virtio-rng-pci") as vm:
        vm.wait_passes(5)
        _, more, _ = vm.save()
    with Vm(tools, incoming=True) as vm:
        print("#", refused(lambda: vm.load(more), "could not be loaded"))
        check(vm.state() == "inmigrate", f"after a failed load the VM is '{vm.state()}'")


def proof_gone_in_load(tools):
    """An engine that dies in a load leaves the VM paused, and an event tells why."""
    with Vm(tools) as vm:
        vm.wait_passes(10)
        _, image, _ = vm.save()
    with Vm(tools, incoming=True) as vm:
        channel = vm.begin("x-tlc-load")
        channel.expect(peer.HELLO)
        channel.send(peer.LOAD_BEGIN, peer.load_begin(image))
        channel.expect(peer.READY)
        channel.close()
        check("given up" in vm.wait_tlc("none")["error"], "the error does not tell what happened")
        events = [e for e in vm.qmp.events if e["event"] == "X_TLC_STATUS"]
        check(events and "given up" in events[-1]["data"].get("error", ""), "no event tells the error")
        check(vm.state() == "inmigrate" and vm.passes() == 0, "the VM ran")


def proof_reset_while_copying(tools):
    """A reset of the guest while pages are copied harms neither VM nor image."""
    with Vm(tools) as vm:
        vm.wait_passes(50)
        _, image, _ = vm.save(lambda hello, memory: vm.qmp.command("system_reset"))
        check(one_moment(counters(image.blocks["pc.ram"])), "the image mixes two moments")
        vm.wait_passes(50)
    with Vm(tools, incoming=True) as vm:
        vm.load(image)
        vm.wait_passes(10)


def proof_q35(tools):
    """A machine with PCI Express, two vCPUs and virtio devices; a qcow2 disk."""
    disk = f"{tools.directory}/q35.qcow2"
    if not shutil.which("qemu-img"):
        print("# no qemu-img: the second disk is raw")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        kind = "raw"
    else:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
        kind = "qcow2"
    machine = ["-machine", "q35", "-smp", "2", "-device", "virtio-balloon-pci", "-device", "virtio-rng-pci",
               "-drive", f"file={disk},format={kind},if=virtio", "-netdev", "user,id=n",
               "-device", "virtio-net-pci,netdev=n", "-device", "virtio-serial-pci",
               "-device", "vmgenid,guid=auto", "-device", "VGA"]
    with Vm(tools, *machine) as vm:
        vm.wait_passes(5)
        _, image, _ = vm.save()
        check(one_moment(counters(image.blocks["pc.ram"])), "the image mixes two moments")
        vm.wait_passes(5)
    with Vm(tools, *machine, incoming=True) as vm:
        vm.load(image)
        vm.wait_passes(5)
        vm.save()
        vm.qmp.command("migrate", uri=f"file:{vm.base}.migration")
        end = time.monotonic() + 60
        while vm.qmp.command("query-migrate")["status"] not in ("completed", "failed"):
            check(time.monotonic() < end, "a migration after the save does not end")
            vm.qmp.command("stop")
            time.sleep(0.1)
        check(vm.qmp.command("query-migrate")["status"] == "completed", "a migration after the save fails")


def proof_sandbox(tools):
    """QEMU's seccomp sandbox does not stand in the way."""
    with Vm(tools, "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny") as vm:
        vm.wait_passes(5)
        _, image, _ = vm.save()
        check(one_moment(counters(image.blocks["pc.ram"])), "the image mixes two moments")
        vm.wait_passes(5)


def proof_ordinary_user(tools):
    """Without the right to userfaultfd the error says what to do; a passed device works."""
    if os.geteuid() != 0:
        print("# skipped: only root can start QEMU as another user and open the device for it")
        return
    with open("/proc/sys/vm/unprivileged_userfaultfd") as sysctl:
        if sysctl.read().strip() != "0":
            print("# skipped: vm.unprivileged_userfaultfd is on")
            return
    os.chmod(tools.directory, 0o777)
    identity = dict(user=65534, group=65534, extra_groups=[])
    with Vm(tools, **identity) as vm:
        vm.wait_passes(5)
        channel = vm.begin("x-tlc-save")
        channel.expect(peer.HELLO)
        channel.send(peer.ARM)
        print("#", refused(channel.receive, "/dev/userfaultfd", "vm.unprivileged_userfaultfd"))
        channel.close()
        vm.wait_tlc("none")
        check(not [e for e in vm.qmp.events if e["event"] == "STOP"], "the VM was paused")
    if not os.path.exists("/dev/userfaultfd"):
        print("# this kernel has no /dev/userfaultfd to pass")
        return
    device = os.open("/dev/userfaultfd", os.O_RDWR)
    with Vm(tools, "-add-fd", f"fd={device},set=2", pass_fds=[device], **identity) as vm:
        os.close(device)
        for _ in range(3):
            vm.wait_passes(5)
            _, image, _ = vm.save(userfaultfd="/dev/fdset/2")
            check(one_moment(counters(image.blocks["pc.ram"])), "the image mixes two moments")


def proof_huge_pages(tools):
    """RAM of huge pages is saved and loaded; clusters are whole huge pages then."""
    huge = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    free = 0
    if os.path.isdir(huge):
        with open(f"{huge}/free_hugepages") as file:
            free = int(file.read())
    if free < 64:
        print("# skipped: fewer than 64 free huge pages of 2 MiB")
        return
    backend = ["-object", "memory-backend-memfd,id=m,size=128M,hugetlb=on,share=off,prealloc=on",
               "-machine", "memory-backend=m"]
    peer.CLUSTER = 2 << 20
    try:
        with Vm(tools, *backend) as vm:
            vm.wait_passes(5)
            hello, image, _ = vm.save()
            ram = [block for block in hello.blocks if block.used == 128 << 20]
            check(ram and ram[0].page_size == 2 << 20, "RAM is not made of huge pages")
            check(one_moment(counters(image.blocks[ram[0].id])), "the image mixes two moments")
            vm.wait_passes(5)
        with Vm(tools, *backend, incoming=True) as vm:
            def compare(hello):
                for name, data in image.blocks.items():
                    check(ram_now(hello, name) == bytes(data), f"{name} differs after the load")
            vm.load(image, compare)
            vm.wait_passes(5)
            vm.save()
    finally:
        peer.CLUSTER = 64 * 1024


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    accel = sys.argv[2] if len(sys.argv) > 2 else "tcg"
    only = sys.argv[3:]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tlc-channel-") as directory:
        tools = Tools(sys.argv[1], accel, directory)
        for name, proof in list(globals().items()):
            if not name.startswith("proof_") or (only and name[6:] not in only):
                continue
            began = time.monotonic()
            try:
                proof(tools)
                print(f"ok {name[6:]} ({time.monotonic() - began:.1f} s)", flush=True)
            except Exception as error:  # each proof stands alone
                failed += 1
                if os.environ.get("TRACE") or not isinstance(error, (Failed, peer.PeerError)):
                    traceback.print_exc()
                print(f"not ok {name[6:]}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
