"""Values that are infinite or no numbers."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule


class NotFinite(Rule):
    """Names the first layer that gives them: what comes behind only passes them on."""

    name = "not-finite"
    title = "Values that are no numbers"
    source = "measured: the first layer whose output is not finite"
    order = 0

    def look(self, record: RunRecord) -> Iterator[Finding]:
        if not record.not_finite and not record.failed:
            return
        first = record.not_finite[0] if record.not_finite else ""
        said = record.failed or (
            f"{first} gives values that are infinite or no numbers: no answer behind it means anything."
        )
        yield Finding(
            cause=f"{said.rstrip('.')}. Check the weights, and model.mean and model.std; take smaller rates "
            "where a quantizer learned.",
            severity="red", layer=first, sure=True, evidence={"layers": list(record.not_finite)},
        )  # fmt: skip
