"""How a generator is told which class to draw: GDFQ's scaled latents, Qimera's superposed embeddings."""

import torch
from torch import Tensor, nn

from engine.synthesis.generators.networks.classmix import ClassMix


class Embedding(nn.Module):
    """Classes and random numbers z [images, K, latent] to the generator's input [images, code]."""

    latent: int
    code: int


class PlainLatent(Embedding):
    """z itself: the generator is not told the class here (by its BatchNorms perhaps, or not at all)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = self.code = latent

    def forward(self, mix: ClassMix, z: Tensor) -> Tensor:
        code: Tensor = (mix.weights[..., None] * z).sum(1)
        return code


class ScaledLatent(Embedding):
    """Embedding of the class times z, element by element (GDFQ, ECCV 2020: the small-image form)."""

    def __init__(self, classes: int, latent: int) -> None:
        super().__init__()
        self.latent = self.code = latent
        self.table = nn.Embedding(classes, latent)

    def forward(self, mix: ClassMix, z: Tensor) -> Tensor:
        code: Tensor = (mix.weights[..., None] * self.table(mix.classes) * z).sum(1)
        return code


class SuperposedEmbedding(Embedding):
    """Σₖ λₖ DM(norm(embedding of yₖ + zₖ)): between classes where K > 1, in one where K = 1.

    Choi et al., "Qimera", NeurIPS 2021, arXiv:2111.02625, section 3. Each of the K has noise of its
    own. `norm` makes each slot's entries mean 0, std 1; `DM` (disentangling mapping, section 3.3) is a
    linear map to `mapped` entries before the sum, or nothing where `mapped` is 0. (The released code's
    switch for it is inverted: its scripts run without.) `table` [classes, latent] is where the
    embeddings start: the classifier's rows, or drawn at random.
    """

    def __init__(self, table: Tensor, *, mapped: int, trainable: bool = True) -> None:
        super().__init__()
        self.latent = table.shape[1]
        self.code = mapped or self.latent
        self.table = nn.Embedding.from_pretrained(table.clone(), freeze=not trainable)
        self.mapping = nn.Linear(self.latent, mapped) if mapped else nn.Identity()

    def forward(self, mix: ClassMix, z: Tensor) -> Tensor:
        slots = self.mapping(standardised(self.table(mix.classes) + z))
        code: Tensor = (mix.weights[..., None] * slots).sum(1)
        return code


def standardised(x: Tensor) -> Tensor:
    """The entries of the last dimension at mean 0 and variance 1."""
    return torch.nn.functional.layer_norm(x, x.shape[-1:])
