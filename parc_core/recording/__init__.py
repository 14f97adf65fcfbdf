"""What a policy makes of its reference motions, as motion files for the next iteration (PARC's stage 4)."""
