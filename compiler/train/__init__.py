"""What training reads and writes: data sets and checkpoints."""

from .checkpoint import BadCheckpointError, load_checkpoint, save_checkpoint
from .data import DATA_SETS, BadDataError, DataSet, data_set

__all__ = ["DATA_SETS", "BadCheckpointError", "BadDataError", "DataSet", "data_set", "load_checkpoint",
           "save_checkpoint"]
