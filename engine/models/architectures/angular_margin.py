"""What an embedding network is trained against, and is thrown away after: classes as directions.

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, equation 3.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class AngularMargin(nn.Module):
    """Embeddings [n, width] and their classes [n] to the mean cross entropy of ArcFace.

    A score is `scale` times the cosine with the class's direction; that of the true class is of an angle
    `margin` (radians) wider than it is. Beyond pi - margin, where the cosine would rise again, a line
    goes on falling, as in the released code.
    """

    def __init__(
        self, width: int, classes: int, *, scale: float = 16.0, margin: float = 0.3
    ) -> None:
        super().__init__()
        self.scale, self.margin = scale, margin
        self.directions = nn.Parameter(torch.empty(classes, width))
        nn.init.xavier_normal_(self.directions)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        cosines = functional.linear(
            functional.normalize(embeddings), functional.normalize(self.directions)
        )
        own = cosines.gather(1, labels[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        wider = torch.cos(own.acos() + self.margin)
        beyond = own < -math.cos(self.margin)
        wider = torch.where(beyond, own - self.margin * math.sin(self.margin), wider)
        scores = self.scale * cosines.scatter(1, labels[:, None], wider)
        return functional.cross_entropy(scores, labels)
