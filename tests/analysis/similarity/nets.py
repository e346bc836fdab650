"""Small networks, and by hand: the moves of factors and channels that leave what they compute as it is."""

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    """Convolutions with BatchNorm and without, and a linear layer that reads 4 columns a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.bn = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.two, self.head = nn.Conv2d(6, 5, 3, padding=1), nn.Linear(20, 4)
        self.pool = nn.AdaptiveAvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.one(x)))
        return self.head(torch.flatten(self.pool(torch.relu(self.two(x))), 1))

    def streams(self):
        """(who writes, who goes along channel by channel, who reads) of each set of channels."""
        return [([self.one], [self.bn], [self.two]), ([self.two], [], [self.head])]


class Depthwise(nn.Module):
    """An inverted bottleneck: expand, depthwise, project, each with BatchNorm, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.bn1 = nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.project, self.head = nn.Conv2d(8, 5, 1), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.expand(x)))
        x = torch.relu(self.bn2(self.deep(x)))
        return self.head(torch.relu(self.project(x)).mean((2, 3)))

    def streams(self):
        return [
            ([self.expand], [self.bn1, self.deep, self.bn2], [self.project]),
            ([self.project], [], [self.head]),
        ]


class Residual(nn.Module):
    """A stem and two blocks that write to one stream, the second of them before an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.in1, self.bn1 = nn.Conv2d(6, 7, 3, padding=1, bias=False), nn.BatchNorm2d(7)
        self.out1 = nn.Conv2d(7, 6, 3, padding=1)
        self.bn2, self.in2 = nn.BatchNorm2d(6), nn.Conv2d(6, 5, 1)
        self.out2, self.head = nn.Conv2d(5, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.out1(torch.relu(self.bn1(self.in1(x)))))
        x = x + self.out2(torch.relu(self.in2(torch.relu(self.bn2(x)))))
        return self.head(torch.relu(x).mean((2, 3)))

    def streams(self):
        return [
            ([self.stem, self.out1, self.out2], [], [self.in1, self.bn2, self.head]),
            ([self.in1], [self.bn1], [self.out1]),
            ([self.in2], [], [self.out2]),
        ]


NETS = (Plain, Depthwise, Residual)


def rows(module: nn.Module) -> list[Tensor]:
    """All that a module has for each of its channels of output."""
    named = (
        module.weight,
        module.bias,
        *(getattr(module, n, None) for n in ("running_mean", "running_var")),
    )
    return [tensor for tensor in named if tensor is not None]


@torch.no_grad()
def rescale(model, seed: int) -> None:
    """Each channel a times as large, 1/a times read: of layers, BatchNorms and within chains alike."""
    rng = torch.Generator().manual_seed(seed)
    for writers, along, readers in model.streams():
        count = len(writers[0].weight)
        for module in along:  # each has factors of its own
            _scale_columns(module, 1 / _scale_rows(writers, _factors(count, rng)))
            writers = [module]
        a = _scale_rows(writers, _factors(count, rng))
        for module in readers:
            _scale_columns(module, 1 / a)


def _factors(count, rng):
    return torch.exp(2 * torch.rand(count, generator=rng) - 1)


def _scale_rows(writers, a):
    for module in writers:
        for tensor in (module.weight, module.bias):
            if tensor is not None:
                tensor.mul_(a.reshape(-1, *[1] * (tensor.dim() - 1)))
    return a


def _scale_columns(module, a):
    weight = module.weight
    if isinstance(module, nn.BatchNorm2d):  # it reads a x where it read x
        module.running_mean.div_(a)
        module.running_var.copy_((module.running_var + module.eps) / a**2 - module.eps)
    elif getattr(module, "groups", 1) > 1:
        weight.mul_(a.reshape(-1, 1, 1, 1))
    else:
        weight.view(len(weight), len(a), -1).mul_(a.reshape(1, -1, 1))


@torch.no_grad()
def shuffle(model, seed: int) -> None:
    """The channels of every stream in another order."""
    rng = torch.Generator().manual_seed(seed)
    for writers, along, readers in model.streams():
        order = torch.randperm(len(writers[0].weight), generator=rng)
        for module in (*writers, *along, *(m for m in readers if isinstance(m, nn.BatchNorm2d))):
            for tensor in rows(module):
                tensor.copy_(tensor[order].clone())
        for module in readers:
            behind = model.in2 if isinstance(module, nn.BatchNorm2d) else module
            weight = behind.weight.view(len(behind.weight), len(order), -1)
            weight.copy_(weight[:, order].clone())
