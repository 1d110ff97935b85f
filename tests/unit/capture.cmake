# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME capture_parts SOURCES capture_parts_test.cpp DEPENDS tlc_capture)
tlc_unit_test(NAME capture_cow SOURCES capture_cow_test.cpp capture_guest.cpp DEPENDS tlc_capture)
tlc_unit_test(NAME capture_log SOURCES capture_log_test.cpp capture_guest.cpp DEPENDS tlc_capture)
