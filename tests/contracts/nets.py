"""Small networks with every feature that a method must cope with, and a walk of a method through them."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.core.method import Machine, Settings, describe
from engine.core.sampling.randomness import stream
from engine.models.architectures.resnet import BasicBlock
from engine.models.graph.blocks import Block, find_blocks
from engine.models.graph.rest_of_network import Rest
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.base import Distiller, QuantizationMethod
from engine.quantization.methods.nearest import NearestSettings
from engine.quantization.plan import LayerBits, plan_bits
from engine.quantization.student import fit_block, make_student, restore_block
from engine.quantization.trainable_student import TrainedStudent
from engine.run.stages.synthesis.reuse import asks_for_student
from engine.synthesis.base import Request
from engine.synthesis.statistics.batchnorm import StoredStatistics


class TinyResNet(nn.Module):
    """A stem, a block with a strided projection, a block with an identity, a classifier of 3."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()
        )
        self.down = BasicBlock(4, 6, 2)
        self.same = BasicBlock(6, 6, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.same(self.down(self.stem(x))))


class Breaking(TinyResNet):
    """Breaks in the middle of its forward pass, in every copy of it, while `broken`."""

    broken = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(self.stem(x))
        if Breaking.broken:
            raise RuntimeError("broken in the middle")
        return self.head(self.same(x))


def ready(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model as a trained one would be: random weights and statistics, eval, no gradients."""
    rng = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=0.3, generator=rng)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.3, generator=rng)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3, generator=rng)
            nn.init.uniform_(module.running_var, 0.5, 2.0, generator=rng)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=rng)
            nn.init.normal_(module.bias, std=0.3, generator=rng)
    return model.eval().requires_grad_(False)


def images(count: int = 8, side: int = 8, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def smooth_images(count: int = 32, side: int = 8, seed: int = 1) -> Tensor:
    """Images whose neighbouring pixels are alike: only there do roundings depend on each other."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 3, 3, generator=rng) + torch.randn(count, 1, 1, 1, generator=rng)
    return nn.functional.interpolate(coarse, size=side, mode="bilinear")


def budget(settings: type[Settings], **changes: object) -> Settings:
    """The method's own quick settings, with those changes that it knows; side phases are short."""
    quick = {knob["name"]: knob["presets"]["quick"] for knob in describe(settings)}
    for name, most in {"activation_steps": 5, "correction_steps": 3}.items():
        if name in quick:
            quick[name] = min(most, quick[name])
    return settings(**quick | {name: v for name, v in changes.items() if name in quick})


def request(settings: type[Settings], teacher: nn.Module | None = None, **facts: object) -> Request:
    """A batch of 8 images of 8 by 8 pixels asked for, on TinyResNet, with all that a method may need.

    `facts` are fields of the request, and settings where the method has them; `seed` seeds it. A
    student of 3 bits comes along where the settings ask for one.
    """
    teacher = ready(TinyResNet()) if teacher is None else teacher
    fields = {f.name for f in dataclasses.fields(Request)}
    shape = facts.get("shape", (8, 3, 8, 8))
    chosen = {name: value for name, value in facts.items() if name not in fields}
    channels = shape[1]
    known = {
        "shape": shape,
        "rng": stream(chosen.pop("seed", 0), "contract"),
        "mean": (0.5,) * channels,
        "std": (0.25,) * channels,
        "classes": 3,
        "real": images(shape[0]),
        "real_labels": torch.arange(shape[0]) % 3,
    }
    given = {name: value for name, value in facts.items() if name in fields}
    asked = budget(settings, **{"batch": shape[0], **chosen})
    if asks_for_student(dataclasses.asdict(asked)):
        quick = NearestSettings(weight_range="min-max", activation_range="min-max")
        known["student"] = student_of(teacher, quick)
    return Request(
        teacher=teacher,
        stored=StoredStatistics(teacher, shape[1:]),
        settings=asked,
        **known | given,
    )


def student_of(
    teacher: nn.Module,
    ranges: NearestSettings = NearestSettings(),  # noqa: B008  (frozen)
) -> TrainedStudent:
    """The teacher at 3 bits, to be trained or competed with."""
    blocks = find_blocks(teacher)
    plan = plan_bits(blocks, weight_bits=3, activation_bits=3, edge_rule="brecq")
    return TrainedStudent(teacher, blocks, plan, ranges)


def total(losses: dict[str, Tensor]) -> float:
    return sum(float(loss) for loss in losses.values())


@dataclass
class Quantizing:
    """A teacher on its way to a student, block after block."""

    teacher: nn.Module
    student: nn.Module
    blocks: tuple[Block, ...]
    plan: dict[str, LayerBits]
    images: Tensor

    def distiller(self, method: QuantizationMethod, seed: int = 0) -> Distiller | None:
        """The method's trainer of the whole student, where it has one."""

        def fit(student: nn.Module) -> None:
            walk = Walk(student, WalkPlan(self.teacher, self.blocks), self.images, 4)
            for block in self.blocks:
                fit_block(student, block, walk.to(block))
                walk.through(block)

        return method.distiller(
            self.teacher, self.blocks, self.plan, self.images, stream(seed, "distillation"),
            fit=fit, classifier=True,
        )  # fmt: skip

    def distilled(self, method: QuantizationMethod, seed: int = 0) -> dict[str, Tensor] | None:
        """All its steps taken: what it has learned."""
        machine = self.distiller(method, seed)
        if machine is None:
            return None
        with torch.enable_grad():
            for _ in range(machine.total_steps):
                machine.step()
        return machine.learned()

    def machines(self, method: QuantizationMethod, seed: int = 0) -> Iterator["Opened"]:
        """Each block, fitted and begun; its steps are yours, it is finished when you come back."""
        self.student = make_student(self.teacher, self.blocks, self.plan, method.makers())
        plan = WalkPlan(self.teacher, self.blocks)
        learned = self.distilled(method, seed)
        walks = [Walk(m, plan, self.images, 4) for m in (self.teacher, self.student)]
        for block in self.blocks:
            x_teacher, x_student = walks[0].to(block), walks[1].to(block)
            y = walks[0].through(block)
            fit_block(self.student, block, x_student)
            if learned is not None:
                restore_block(self.student, block, learned)
            rest = Rest(self.teacher, plan, block, self.images)
            machine = method.reconstruct(
                self.student, block, x_teacher=x_teacher, x_student=x_student, y_teacher=y,
                rng=stream(seed, block.name), **({"rest": rest} if method.looks_ahead else {}),
            )  # fmt: skip
            yield Opened(block, machine, x_student, y)
            if machine is not None:
                method.finish(self.student, block)
            walks[1].through(block)


@dataclass
class Opened:
    block: Block
    machine: Machine | None
    x: Tensor
    y: Tensor


def quantizing(
    weight_bits: int = 2,
    activation_bits: int = 4,
    rule: str = "brecq",
    teacher: nn.Module | None = None,
) -> Quantizing:
    """TinyResNet, or another network, about to be quantized."""
    teacher = ready(TinyResNet()) if teacher is None else teacher
    blocks = find_blocks(teacher)
    plan = plan_bits(
        blocks, weight_bits=weight_bits, activation_bits=activation_bits, edge_rule=rule
    )
    return Quantizing(teacher, make_student(teacher, blocks, plan), blocks, plan, images())


def quantized(
    cls: type[QuantizationMethod], *, steps: int = 6, seed: int = 0, **bits: int
) -> Quantizing:
    """TinyResNet, quantized by the method from its first block to its last."""
    work = quantizing(**bits)
    for opened in work.machines(cls(budget(cls.Settings, steps=steps, batch=4)), seed):
        if opened.machine is not None:
            for _ in range(opened.machine.total_steps):
                opened.machine.step()
    return work
