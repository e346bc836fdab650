"""The student that a synthesis method may be given: the teacher at few bits."""

from typing import Any, Protocol

from torch import Tensor

FIT_EVERY = 100  # steps after which a student's ranges follow its weights and the images


class Student(Protocol):
    """The teacher at few bits, as a method is given one (engine.quantization.trainable_student has it)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Scores [n, classes]; gradients pass to the images, and to what can be learned."""
        ...

    def fit(self, images: Tensor) -> None:
        """Place the ranges anew, for these images."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """What was learned, by the teacher's names."""
        ...

    def parameters(self) -> Any: ...
    def requires_grad_(self, requires_grad: bool = True) -> Any: ...  # noqa: FBT001
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...
