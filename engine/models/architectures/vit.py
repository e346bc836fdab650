"""A small vision transformer: tokens that look at each other, no BatchNorm, no convolution but the first.

Dosovitskiy et al., "An Image Is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021,
equations 1 to 4, with blocks that normalise before they compute. The answer is read from the mean of all
tokens, not from a class token of its own (their appendix D.3 finds them alike).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SmallViT(nn.Module):
    """`depth` blocks of `width` numbers a token; square images of `side` pixels, in patches of `patch`."""

    def __init__(
        self,
        in_channels: int,
        classes: int,
        side: int,
        *,
        patch: int = 4,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        widening: int = 4,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(in_channels, width, patch, stride=patch)
        self.positions = nn.Parameter(torch.zeros(1, (side // patch) ** 2, width))
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, width * widening) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.positions, std=0.02)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits


class TransformerBlock(nn.Module):
    """Attention and a two-layer network, each behind a LayerNorm and beside a shortcut (equations 2, 3)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Attention(nn.Module):
    """Several heads of self-attention (appendix A, equations 5 to 8), tokens [n, tokens, width] to the same.

    One linear layer gives queries, keys and values. No size is read, so that the data flow stays plain.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        # [3, n, heads, tokens, width of a head]
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        out: Tensor = self.projection(seen.transpose(1, 2).flatten(2))
        return out
