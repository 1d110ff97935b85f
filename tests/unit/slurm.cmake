# SPDX-License-Identifier: GPL-2.0-or-later
tlc_unit_test(NAME slurm SOURCES slurm_elsewhere_test.cpp slurm_job_state_test.cpp slurm_lease_test.cpp slurm_settings_test.cpp DEPENDS tlc_slurm)
