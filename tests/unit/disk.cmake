# SPDX-License-Identifier: GPL-2.0-or-later
# The Btrfs cases need a directory in TLC_TEST_BTRFS, those with clones one in TLC_TEST_REFLINK;
# integration/storage/disk.bats makes them, and one for TLC_TEST_QCOW2, which is a temporary one otherwise.
tlc_unit_test(NAME disk_btrfs SOURCES disk_btrfs_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_sums SOURCES disk_sums_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_packed SOURCES disk_packed_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_image_files SOURCES disk_image_files_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_qcow2 SOURCES disk_qcow2_test.cpp DEPENDS tlc_disk)
tlc_unit_test(NAME disk_reflink SOURCES disk_reflink_test.cpp DEPENDS tlc_disk)
