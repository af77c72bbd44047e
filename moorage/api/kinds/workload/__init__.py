"""What the rules of workload kinds share: selectors that fit templates, numbers of pods, percentages, cells."""
