"""ONNX Runtime on a file: what it answers, what it computes inside, and how long it takes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core import timing
from engine.core.errors import UserError
from engine.export.graph.write import IMAGES, OUTPUT

Array = NDArray[Any]
_ERRORS_ALONE = 3  # of the runtime's own log


class Session:
    """A model, loaded as anybody would load it: the runtime's own optimisations, on the processor."""

    def __init__(self, model: bytes | Path, threads: int, also: Sequence[str] = ()) -> None:
        """`also`: names of values inside, given beside the output."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ALONE
        self._wanted = [OUTPUT, *also]
        data = model.read_bytes() if isinstance(model, Path) else model
        try:
            self._session = onnxruntime.InferenceSession(
                _with_outputs(data, also) if also else data,
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:
            raise UserError(
                f"ONNX Runtime refuses the file: {_line(error)}; take --codes instead"
            ) from error
        shape = self._session.get_inputs()[0].shape
        self._at_once = shape[0] if isinstance(shape[0], int) else None

    def __call__(self, images: Array) -> list[Array]:
        """The output, and what was asked for beside it, for images [n, channels, height, width]."""
        size = self._at_once or len(images)
        parts = [
            self._session.run(self._wanted, {IMAGES: np.ascontiguousarray(images[k : k + size])})
            for k in range(0, len(images), size)
        ]
        return [np.concatenate(several) for several in zip(*parts, strict=True)]


def _with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    model.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names)
    )
    made: bytes = model.SerializeToString()
    return made


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def medians_ms(sessions: Sequence[Session], images: Array, repeats: int) -> list[float]:
    """Milliseconds for these images at each session: medians of runs in turns, after two for warmth."""
    return timing.medians_ms([partial(session, images) for session in sessions], repeats)


def version() -> str:
    """The runtime's name and version."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"
