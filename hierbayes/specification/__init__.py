"""What is to be fitted: formula on data, family, design, priors, kernel; below every result."""
