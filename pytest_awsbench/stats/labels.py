"""Names of clusters, and their numbers."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def numbered(clusters: Sequence[Hashable]) -> NDArray[np.int64]:
    """Number the clusters in the order in which they appear.

    >>> numbered(["s3", "iam", "s3"]).tolist()
    [0, 1, 0]

    """
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(c, len(numbers)) for c in clusters]
    return np.array(codes, dtype=np.int64)
