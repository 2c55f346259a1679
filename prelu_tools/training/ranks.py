"""Which process of a distributed training writes records."""

from __future__ import annotations

import json
import os
import sys


def is_first_process() -> bool:
    """Whether this process has rank 0: by torch.distributed, TF_CONFIG, or RANK of a launcher.

    A process that takes no part in a distributed training is the first.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_rank() == 0)
    try:
        task = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {})
        kind, index = str(task.get("type", "chief")), int(task.get("index", 0))
    except (ValueError, AttributeError, TypeError):
        kind, index = "chief", 0
    if kind not in ("chief", "master", "worker"):
        return False
    is_chief = index == 0 and (kind != "worker" or not _has_chief())
    return is_chief and os.environ.get("RANK", "0") == "0"


def _has_chief() -> bool:
    cluster = json.loads(os.environ["TF_CONFIG"]).get("cluster", {})
    return bool(cluster.get("chief") or cluster.get("master"))
