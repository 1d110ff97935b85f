#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#SBATCH --job-name=melt
#SBATCH --ntasks=2
#SBATCH --nodes=1
#SBATCH --mem=1500M
#SBATCH --output=melt-%j.out
#SBATCH --requeue
# Nothing in here knows of checkpoints: submit it with sbatch --vm-checkpoint=10m job.sh [STEPS]
exec mpirun -np 2 lmp -nocite -var steps "${1:-2000}" -in in.melt
