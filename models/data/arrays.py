"""Arrays of pictures and of indices, as data sets hold them."""

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
