"""Findings in order: what gains most first, and how bad each is by what it gains of the whole loss."""

from collections.abc import Sequence
from dataclasses import replace

from engine.analysis.doctor import discover_rules
from engine.analysis.doctor.finding import SEVERITIES, Finding
from engine.analysis.doctor.record import SICK, Loss, RunRecord

# Of the loss; our own lines, no paper's.
WIDE = 0.5  # that a change of many layers counts for, beside one that names a single cause
MOST_OF_IT, SOME_OF_IT = 0.25, 0.05


def findings_of(record: RunRecord) -> list[Finding]:
    """All that any rule finds in the record, by what the rules themselves say of it."""
    return ranked([one for rule in discover_rules().values() for one in rule.find(record)])


def ranked(findings: Sequence[Finding], loss: Loss | None = None) -> list[Finding]:
    """By severity, then by the share of the loss that the change takes away, where that is known.

    A sure cause counts as much as the worst found at the layer that it hurts. Of findings that gain the same
    or an unknown share, what is nearer to a cause comes first (`Rule.order`), then the layer that gains
    most decibels.
    """
    order = {name: rule.order for name, rule in discover_rules().items()}
    shares = [_share(one, loss) for one in findings]
    rows = []
    for one, share in zip(findings, shares, strict=True):
        done = [k for k, other in enumerate(findings) if one.hurts and other.layer == one.hurts]
        severity = min([one.severity, *(findings[k].severity for k in done)], key=SEVERITIES.index)
        rows.append((replace(one, severity=severity), max([share, *(shares[k] for k in done)])))

    def key(row: tuple[Finding, float]) -> tuple[float, ...]:
        one, share = row
        rank = SEVERITIES.index(one.severity)
        certain = one.sure and not one.hurts and one.severity == "red"
        return (rank, -float(certain), -share, order[one.rule], -(one.predicted_gain or 0.0))

    return [one for one, _ in sorted(rows, key=key)]


def _share(finding: Finding, loss: Loss | None) -> float:
    if loss is None:
        return 0.0
    return round(share_of(finding, loss) * (WIDE if finding.wide else 1), 2)


def share_of(finding: Finding, loss: Loss) -> float:
    """Which part of the loss its change would take away; 0 where that is not known."""
    gain = finding.predicted_gain
    if gain is None or finding.unit == "dB of the layer" or finding.unit == "top1":
        return 0.0
    if finding.unit == "KL":
        return gain / loss.value if loss.value > 0 else 0.0
    return 1 - 10 ** (-gain / 10)


def weighed(finding: Finding, loss: Loss) -> Finding:
    """The finding with the severity that its predicted gain tells; unchanged where that is not known.

    What is sure to be wrong is never called less than its rule calls it.
    """
    if finding.unit not in ("KL", "dB of the outputs") or finding.predicted_gain is None:
        return finding
    share = share_of(finding, loss)
    may_be_chance = finding.band is not None and finding.band[0] <= 0
    severity = "red" if share >= MOST_OF_IT else "yellow"
    if may_be_chance or share < SOME_OF_IT or loss.value < SICK[loss.unit]:
        severity = "note"
    if finding.sure:
        severity = min(severity, finding.severity, key=SEVERITIES.index)
    return replace(finding, severity=severity)
