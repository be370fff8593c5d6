"""From one traced model to its verdicts: suspicions, evidence, and the one that names the cause."""
