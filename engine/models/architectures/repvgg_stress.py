"""A fused RepVGG made hard to round on purpose: the same function, its channels on other scales.

No network that was trained: a stress copy. ReLU passes positive factors on, so a channel between two
convolutions may be made louder by the first and quieter by the second, and nothing changes but the weights.
Networks differ by such factors without anybody's wish, as MobileNets are known to (Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", ICCV 2019, which takes them out).
"""

import itertools

import torch
from torch import Tensor, nn

from engine.models.architectures.repvgg import FusedRepVGGBlock, fuse

MOST = 4.0  # times as loud or as quiet as it was
NOTE = (
    "This is a stress copy, not a network as it was trained: channels between the convolutions of the fused "
    f"RepVGG are up to {MOST:g} times louder or quieter, so that the widest centres set the kernels' ranges. "
    "It computes the same."
)


@torch.no_grad()
def stress(model: nn.Module) -> nn.Module:
    """A fused copy in eval mode, each inner channel's weights as wide as its centre stands out.

    A channel is read by the next convolution as many times louder as its largest centre tap is above its
    largest outer one, from the channels' geometric mean, within a factor MOST. The same function, but for
    the rounding of floats.
    """
    fused = fuse(model)
    convs = [block.conv for block in fused.modules() if isinstance(block, FusedRepVGGBlock)]
    for writes, reads in itertools.pairwise(convs):
        loud = _standing_out(reads.weight).double()
        writes.weight.copy_(writes.weight / loud[:, None, None, None])
        assert writes.bias is not None
        writes.bias.copy_(writes.bias / loud)
        reads.weight.copy_(reads.weight * loud[:, None, None])
    return fused


def _standing_out(weight: Tensor) -> Tensor:
    """[in], a factor for each input channel of kernels [out, in, 3, 3], between 1 / MOST and MOST."""
    taps = weight.abs().flatten(2)  # the centre is the fifth of nine
    outer = torch.cat([taps[..., :4], taps[..., 5:]], 2).amax((0, 2))
    ratio = (taps[..., 4].amax(0).clamp_min(1e-12) / outer.clamp_min(1e-12)).log()
    most = float(torch.tensor(MOST).log())
    return (ratio - ratio.mean()).clamp(-most, most).exp()
