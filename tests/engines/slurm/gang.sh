#!/bin/bash
#SBATCH --job-name=gang
#SBATCH -N 2 --ntasks-per-node=2
#SBATCH --gres=gpu:h100:2
#SBATCH --time=0:05:00
set -euo pipefail

echo "$# $1"
cd "$SLURM_SUBMIT_DIR"
echo "$SLURM_JOB_NAME $SLURM_JOB_NUM_NODES nodes"
srun --label bash -c 'echo "$SLURM_PROCID $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES"' |
    sed 's/^[0-9]*: //' | sort
exit 5
