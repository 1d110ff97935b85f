# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME guest_file_system SOURCES guest_file_system_test.cpp DEPENDS tlc_guest_parts)
tlc_unit_test(NAME guest_job SOURCES guest_job_test.cpp DEPENDS tlc_guest_parts)
tlc_unit_test(NAME guest_lines SOURCES guest_lines_test.cpp DEPENDS tlc_guest_parts)
tlc_unit_test(NAME guest_pump SOURCES guest_pump_test.cpp DEPENDS tlc_guest_parts PACKAGES Threads::Threads)
