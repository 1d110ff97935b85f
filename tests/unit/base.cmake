# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME units_parse SOURCES units_parse_test.cpp DEPENDS tlc_base)
tlc_unit_test(NAME log_line SOURCES log_line_test.cpp DEPENDS tlc_base)
tlc_unit_test(NAME base_process SOURCES base_process_test.cpp DEPENDS tlc_base)
