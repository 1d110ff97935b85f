# SPDX-License-Identifier: GPL-2.0-or-later
# The Btrfs cases need a directory in TLC_TEST_BTRFS, those with clones one in TLC_TEST_REFLINK;
# integration/storage/disk.bats makes them.
tlc_unit_test(NAME disk_btrfs SOURCES disk_btrfs_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_sums SOURCES disk_sums_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_packed SOURCES disk_packed_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_reflink SOURCES disk_reflink_test.cpp DEPENDS tlc_disk)
