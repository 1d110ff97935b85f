# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME catalog_manifest SOURCES catalog_manifest_test.cpp DEPENDS tlc_catalog)
tlc_unit_test(NAME catalog_job_directory SOURCES catalog_job_directory_test.cpp DEPENDS tlc_catalog)
tlc_unit_test(NAME catalog_retention SOURCES catalog_retention_test.cpp DEPENDS tlc_catalog)
