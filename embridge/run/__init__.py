"""The command line that trainings, sweeps and notebooks share, the pages' names, and signs of life of long steps."""
