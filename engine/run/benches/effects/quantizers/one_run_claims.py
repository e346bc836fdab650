"""Claims whose two numbers are of one run: what its weights take, and what a rescaling makes of them.

Nothing is trained and no image counts: the numbers are of the weights alone.
"""

from engine.run.benches.effects.quantizers.claim import QuantizerClaim

OF_ONE_RUN: tuple[QuantizerClaim, ...] = (
    QuantizerClaim(
        name="storage",
        says="HAC: codes of a pruned and shared network take fewer bytes Huffman-coded than packed.",
        method="hac", baseline="hac", differs=(), metric="huffman", against="packed", asserted=True,
        titles=("Huffman-coded, by columns (HAC)", "Packed, as many bits for each code"),
    ),
    QuantizerClaim(
        name="storage-bound",
        says="HAC: and no more than a bit a code above the entropy.",
        method="hac", baseline="hac", differs=(), metric="huffman", against="bound", asserted=True,
        titles=("Huffman-coded, by columns (HAC)", "The entropy, and a bit for each code"),
    ),
    QuantizerClaim(
        name="storage-sparse",
        says="sHAC: with 95 of 100 weights pruned, the sparse form takes fewer bytes than HAC.",
        method="shac", baseline="shac", differs=(), metric="sparse", against="huffman",
        titles=("Sparse, what is left Huffman-coded (sHAC)", "Huffman-coded, by columns (HAC)"),
    ),
    QuantizerClaim(
        name="similarity",
        says="Weight similarity: chain normalization sees through any positive rescaling of channels.",
        method="nearest-noise", baseline="nearest-noise", differs=(), metric="chain-cosine",
        against="raw-cosine", lower=False, asserted=True,
        titles=("Cosine after chain normalization", "Cosine of the weights as they are"),
    ),
)  # fmt: skip
