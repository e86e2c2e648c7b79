"""Small cases of the scheduler's decisions beside the optima that a solver proves."""
