"""The bundled data sets of the multilevel literature, with their provenance, units and levels."""

from hierbayes.datasets.bundled import describe_dataset, list_datasets, load_dataset

__all__ = ["describe_dataset", "list_datasets", "load_dataset"]
