"""What the papers claim of their quantizers, as plain data: pairs of students (students.py beside this file).

The rules are those of the images' claims (../images/claims.py): a method and its control learn from the same
images and differ in the idea alone; what one of them has no setting for apart, all shared settings are
equal. Both are judged on real images that neither has seen.
"""

from dataclasses import replace

from engine.run.benches.effects.quantizers.claim import QuantizerClaim
from engine.run.benches.effects.quantizers.matching import Match
from engine.run.benches.effects.quantizers.one_run_claims import OF_ONE_RUN
from engine.run.benches.effects.quantizers.second_networks import ON_SECOND

_ENTROPY = Match(
    setting="constant_sigma", number="values:entropy", words="entropy of all weights, bits a weight",
    between=(0.006, 0.016), within=0.05,
)  # fmt: skip

_OWN: tuple[QuantizerClaim, ...] = (
    QuantizerClaim(
        name="gpfq",
        says="GPFQ: weight after weight along the path loses less than rounding each to the nearest level.",
        method="gpfq", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="gpfq-alphabet",
        says="GPFQ: with its own alphabet, too, it loses less than nearest on a searched grid.",
        method="gpfq-own", baseline="nearest-w3", differs=("quantization",),
    ),
    QuantizerClaim(
        name="hessian",
        says="Hessian compensation: errors that later weights make up for cost less than nearest rounding.",
        method="hessian", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="adaround",
        says="AdaRound: a rounding that is learned loses less than rounding to nearest.",
        method="adaround", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="lq-nets",
        says="LQ-Nets: learned uneven levels lose less than as many even ones.",
        method="lq-nets", baseline="lq-nets-even", differs=("turns", "activations"), asserted=True,
    ),
    QuantizerClaim(
        name="mixed",
        says="Mixed precision: bits dealt by sensitivity lose less than the same bits everywhere.",
        method="mixed", baseline="nearest-w3", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="cfws",
        says="CFWS: to split the kernels' wide centre off saves a fused network at few bits.",
        method="cfws", baseline="cfws-off", differs=("split",), asserted=True,
    ),
    QuantizerClaim(
        name="cfws-bytes",
        says="CFWS: the split at 4 bits loses less than 5 bits without it, in fewer bytes.",
        method="cfws", baseline="cfws-w5", differs=("split", "weight_bits"),
    ),
    QuantizerClaim(
        name="cfws-stress",
        says="CFWS: the same on a stress copy (the fused network, rescaled on purpose), where 5 bits hurt.",
        method="cfws-stress", baseline="cfws-stress-w5", differs=("split", "weight_bits"),
    ),
    QuantizerClaim(
        name="factorization",
        says="Factorization: factors found as codes lose less than those rounded afterwards.",
        method="factorization", baseline="factorization-off", differs=("aware",), asserted=True,
    ),
    QuantizerClaim(
        name="factorization-bytes",
        says="Factorization: quantized factors lose less than plain codes of as many bytes.",
        method="factorization", baseline="nearest-w4-corrected", differs=("quantization",),
    ),
    QuantizerClaim(
        name="factorization-tucker",
        says="Factorization: Tucker's form loses less than the canonical one, in as many bytes.",
        method="factorization-tucker", baseline="factorization", differs=("form",),
    ),
    QuantizerClaim(
        name="std-based",
        says="Std-based: an interval in standard deviations loses less than a searched range.",
        method="std-based", baseline="nearest-w3-corrected", differs=("quantization",),
    ),
    QuantizerClaim(
        name="std-pruning",
        says="Std-based: an interval that prunes half loses less than to prune as much by size first.",
        method="std-based-pruned", baseline="std-based-by-size", differs=("prune_by",),
    ),
    QuantizerClaim(
        name="vertical",
        says="Vertical layers: one code for all precisions loses less at 4 bits than one for 4 bits alone.",
        method="vertical", baseline="vertical-own", differs=("lowest", "highest"),
    ),
    *(
        QuantizerClaim(
            name=f"vertical-w{bits}",
            says=f"Vertical layers: that one code loses less at {bits} bits than one for {bits} bits alone.",
            method=f"vertical-w{bits}", baseline=f"vertical-own-w{bits}", differs=differs,
        )
        for bits, differs in (
            (2, ("highest",)), (3, ("lowest", "highest")), (6, ("lowest", "highest")), (8, ("lowest",)),
        )
    ),
    QuantizerClaim(
        name="vertical-trained",
        says="Vertical layers: a training for all precisions makes the one code serve 2 bits better.",
        method="vertical-w2-trained", baseline="vertical-w2", differs=("steps",), asserted=True,
    ),
    QuantizerClaim(
        name="vertical-trained-w4",
        says="Vertical layers: the same training makes the one code serve 4 bits better, too.",
        method="vertical-trained", baseline="vertical", differs=("steps",),
    ),
    QuantizerClaim(
        name="sharing",
        says="Weight sharing: values that learn of the teacher serve better than means of weights.",
        method="sharing", baseline="sharing-off", differs=("steps",), asserted=True,
    ),
    *OF_ONE_RUN,
    QuantizerClaim(
        name="pwfn",
        says="PWFN: spreads that are learned fix the network to a few values at less loss, at equal entropy.",
        method="pwfn", baseline="pwfn-constant", differs=("spread",), asserted=True,
        match=replace(_ENTROPY, between=(0.006, 0.0094)),
    ),
    QuantizerClaim(
        name="pwfn-vit",
        says="PWFN: the same in a vision transformer, where a control of that entropy takes 5 bits.",
        method="pwfn", baseline="pwfn-constant-w5", differs=("spread", "weight_bits"), place="vit",
        match=replace(_ENTROPY, between=(0.01, 0.016)),
    ),
    QuantizerClaim(
        name="bitat",
        says="BiTAT: to round first what its inputs make important loses less than any order.",
        method="bitat", baseline="bitat-random", differs=("order",), asserted=True,
    ),
    QuantizerClaim(
        name="bitat-magnitude",
        says="BiTAT: important columns first loses less than large weights first.",
        method="bitat", baseline="bitat-magnitude", differs=("order",),
    ),
    QuantizerClaim(
        name="bitat-w1",
        says="BiTAT: at 1 bit, in a network made for it, important columns first loses less than any order.",
        method="bitat-w1", baseline="bitat-w1-random", differs=("order",),
    ),
    QuantizerClaim(
        name="bitat-w1-magnitude",
        says="BiTAT: there important columns first loses less than large weights first, too.",
        method="bitat-w1", baseline="bitat-w1-magnitude", differs=("order",),
    ),
    QuantizerClaim(
        name="dir-net",
        says="DIR-Net: a gradient of the sign that sharpens step by step trains one bit better.",
        method="dir-net", baseline="dir-net-plain", differs=("estimator",), asserted=True,
    ),
    QuantizerClaim(
        name="dir-net-a32",
        says="DIR-Net: the same where activations stay float and weights alone have one bit.",
        method="dir-net-a32", baseline="dir-net-a32-plain", differs=("estimator",),
    ),
    QuantizerClaim(
        name="dir-net-a2",
        says="DIR-Net: the same where activations have 2 bits.",
        method="dir-net-a2", baseline="dir-net-a2-plain", differs=("estimator",),
    ),
    QuantizerClaim(
        name="dir-net-a1",
        says="DIR-Net: the same where activations have one bit too, the limit.",
        method="dir-net-a1", baseline="dir-net-a1-plain", differs=("estimator",),
    ),
    QuantizerClaim(
        name="daq",
        says="DAQ: a grid for each channel of each image keeps enlarged images truer.",
        method="daq", baseline="daq-tensor", differs=("grids",), metric="sqnr", lower=False,
        asserted=True,
    ),
    QuantizerClaim(
        name="slb",
        says="SLB: a temperature that sharpens decides better than soft levels cut at the end.",
        method="slb", baseline="slb-soft", differs=("hottest",), asserted=True,
    ),
    QuantizerClaim(
        name="slb-adaround",
        says="SLB: weights that choose among four levels end better than AdaRound's two.",
        method="slb", baseline="adaround-w2", differs=("quantization",),
    ),
    QuantizerClaim(
        name="brecq",
        says="BRECQ: roundings learned for a block's output end better than layer by layer.",
        method="brecq", baseline="adaround-w2", differs=("quantization",), asserted=True,
    ),
    QuantizerClaim(
        name="qdrop",
        says="QDrop: to drop the activations' quantization at random ends better.",
        method="qdrop", baseline="qdrop-off", differs=("keep_float",),
    ),
    QuantizerClaim(
        name="genie-m",
        says="GENIE-M: step sizes that are learned with the rounding end better.",
        method="genie-m", baseline="genie-m-off", differs=("lr_weight_step",),
    ),
    QuantizerClaim(
        name="pd-quant",
        says="PD-Quant: to look at the network's answer beside the block's output ends better.",
        method="pd-quant", baseline="pd-quant-off", differs=("prediction_weight",),
    ),
    QuantizerClaim(
        name="aquant",
        says="AQuant: borders that are learned for the activations' rounding end better.",
        method="aquant", baseline="aquant-off", differs=("lr_border",),
    ),
    QuantizerClaim(
        name="gradient-l1",
        says="Gradient-l1: weights trained to lie where the loss is flat bear rounding better.",
        method="gradient-l1", baseline="gradient-l1-off", differs=("gradient_weight",),
    ),
    QuantizerClaim(
        name="zero-point",
        says="Zero point: one that is searched serves inputs of both signs better.",
        method="zero-point", baseline="zero-point-off", differs=("activation_zero",),
    ),
    QuantizerClaim(
        name="zero-point-vit",
        says="Zero point: behind GELU, one that is searched serves better.",
        method="zero-point-vit", baseline="zero-point-vit-off", differs=("activation_zero",),
    ),
)  # fmt: skip

QUANTIZER_CLAIMS: tuple[QuantizerClaim, ...] = (
    *_OWN,
    *(claim.on(place) for claim in _OWN for place in ON_SECOND.get(claim.name, ())),
)
