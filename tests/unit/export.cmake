# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME export_migration_stream SOURCES export_migration_stream_test.cpp DEPENDS tlc_export)
tlc_unit_test(NAME export_elf_core SOURCES export_elf_core_test.cpp DEPENDS tlc_export)
tlc_unit_test(NAME export_output_file SOURCES export_output_file_test.cpp DEPENDS tlc_export)
