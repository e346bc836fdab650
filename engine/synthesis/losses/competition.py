"""Competition with a student at few bits: images that few bits get wrong."""

from typing import Any

from torch import Tensor

from engine.synthesis.loss import Scene
from engine.synthesis.losses.classes import Disagreement
from engine.synthesis.student import FIT_EVERY, Student


class Competition(Disagreement):
    """Disagreement with a student that does not learn: the teacher at few bits, rounded to nearest.

    Yin et al., DeepInversion, CVPR 2020, section 3.3; theirs is a smaller network that learns from the
    images. The ranges of its activations follow the images, which at first are noise.
    """

    def __init__(self, student: Student, temperature: float = 3.0) -> None:
        super().__init__(student, temperature)
        self._student, self._fitted = student, False
        student.requires_grad_(False)

    def __call__(self, scene: Scene) -> Tensor:
        if not self._fitted or scene.step % FIT_EVERY == 0:
            self._student.fit(scene.shown.detach())
            self._fitted = True
        return super().__call__(scene)

    def state_dict(self) -> dict[str, Any]:
        return self._student.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._student.load_state_dict(state)
        self._fitted = True
