"""The model: one formula on one data frame, fitted by each estimator."""
